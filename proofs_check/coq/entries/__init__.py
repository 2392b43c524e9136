"""The entries of the index, one module per topic; each also says what of its claims is not covered."""

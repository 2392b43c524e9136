"""The checks that stand behind the claims. `python -m proofs_check` runs them all and prints a table."""

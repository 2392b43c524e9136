"""Three kinds of networks trained on real digits, on which pruning methods are compared: fixed splits, one fixed test set."""

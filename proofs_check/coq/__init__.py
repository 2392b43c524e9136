"""Machine-checked proofs for arbitrary dimensions: one .v file per topic, their index, and the runner."""

"""Studies that only the tests of the engine use, found by their dotted names."""

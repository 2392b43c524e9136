"""Methods that choose single weights by a score; under a pattern the same scores choose within groups."""

"""Methods for k:n patterns: at most k of each n consecutive inputs are kept."""

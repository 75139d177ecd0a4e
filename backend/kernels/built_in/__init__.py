"""htvm's own kernels, one file for each, or for those that share a header."""

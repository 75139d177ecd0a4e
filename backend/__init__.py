"""htvm.backend: from a planned module to C, and the targets it is written for."""

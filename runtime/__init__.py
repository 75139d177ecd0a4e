"""htvm.runtime: the C that generated programs are built from, and the simulated SoC that runs them."""

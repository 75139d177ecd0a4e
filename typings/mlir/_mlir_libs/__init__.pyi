"""Where the compiled parts of MLIR are; only its path is used."""

"""From operations of MLIR's tosa dialect to layers: another way to stage 'integer'."""

"""Modules of MLIR's tosa dialect to test with, made here: operations in many forms, and random networks."""

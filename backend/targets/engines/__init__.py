"""The engines: one file each, with the proofs and weight packing that belong to it."""

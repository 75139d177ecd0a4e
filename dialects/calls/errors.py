"""Why a function cannot be lowered."""


class NotLowered(ValueError):
    """A function that MLIR's passes do not lower; the text says which pass, and what it says."""

"""What the simulator raises."""


class SimulationError(Exception):
    """A program cannot be loaded, or did what the simulated SoC forbids. The message says what and where."""


class OutOfCyclesError(SimulationError):
    """A run was stopped because it took more cycles than it may."""

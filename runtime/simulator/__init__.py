"""htvm.runtime.simulator: runs generated programs on a simulated SoC and counts instructions and cycles."""

from htvm.runtime.simulator.error import SimulationError
from htvm.runtime.simulator.host import Execution, Host, StepProfile

__all__ = ["Execution", "Host", "SimulationError", "StepProfile"]

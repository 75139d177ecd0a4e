"""htvm.runtime.simulator: runs generated programs on a simulated SoC and counts instructions and cycles."""

from htvm.runtime.simulator.error import OutOfCyclesError, SimulationError
from htvm.runtime.simulator.host import Execution, Host, StepProfile
from htvm.runtime.simulator.timeline import EngineTotals, Interval, RouteTotals

__all__ = [
    "EngineTotals",
    "Execution",
    "Host",
    "Interval",
    "OutOfCyclesError",
    "RouteTotals",
    "SimulationError",
    "StepProfile",
]

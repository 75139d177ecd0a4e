"""unsigned: any_place whose accelerator reads and writes unsigned maps only."""

from any_place import L1, soc

SOC = soc("unsigned", L1, L1, L1, elements=("ui8",))

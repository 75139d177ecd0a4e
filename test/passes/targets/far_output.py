"""far_output: any_place with results in a memory of their own, from where they must go back before they are read."""

from any_place import L1, SUMS, soc

SOC = soc("far_output", L1, L1, SUMS)

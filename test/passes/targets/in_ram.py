"""in_ram: any_place with everything in the host's memory: nothing is copied."""

from any_place import RAM, soc

SOC = soc("in_ram", RAM, RAM, RAM)

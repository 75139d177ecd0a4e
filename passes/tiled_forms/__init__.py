"""How tile-layers writes what accelerators do: the commands of each layer (tasks.py), in which order (schedule.py)."""

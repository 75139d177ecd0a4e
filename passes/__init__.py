"""The passes: each rewrites a module of the accel dialect; `pipeline.py` has their order."""

"""Makes the Python side of the accel dialect from its definitions; `python -m generator` runs it."""

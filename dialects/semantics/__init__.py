"""What each operation of the accel dialect means: the interpreter, exact real and integer arithmetic, value ranges."""

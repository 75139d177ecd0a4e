"""TOSA and TFLite in: modules of MLIR's tosa dialect made ready for the pass convert-tosa-to-accel, and their meaning.

A .tflite file becomes such a module by Arm's converter (`tflite.py`); what only the file knows of its inputs and
outputs, names and scales, is put on the function's arguments and results. `module.py` gives inputs their shapes and,
if asked, TFLite's rounding; `meaning.py` executes the module.
"""

from .meaning import meaning, values
from .module import TosaError, infer, prepare
from .tflite import tosa_of_tflite

__all__ = ["TosaError", "infer", "meaning", "prepare", "tosa_of_tflite", "values"]

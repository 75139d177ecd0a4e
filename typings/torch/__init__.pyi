# What htvm uses of PyTorch.

from torch import export as export
from torch import nn as nn
from torch import onnx as onnx

class Tensor: ...

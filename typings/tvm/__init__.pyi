# What htvm uses of apache-tvm, which has no types of its own.

from tvm import ir as ir
from tvm import relax as relax
from tvm import runtime as runtime
from tvm import tirx as tirx

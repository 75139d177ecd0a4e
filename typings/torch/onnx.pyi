from typing import Any

import onnx
from torch import Tensor
from torch.export import ExportedProgram

class ONNXProgram:
    @property
    def model_proto(self) -> onnx.ModelProto: ...

def export(
    model: ExportedProgram, args: tuple[Tensor, ...], *, dynamo: bool, opset_version: int, **options: Any
) -> ONNXProgram | None: ...

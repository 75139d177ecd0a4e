"""Small ONNX graphs written as text."""

import onnx
import pytest


@pytest.fixture
def graph():
    """Return a function that makes a model of onnx's textual form of a graph."""

    def parse(text: str, opset: int = 13) -> onnx.ModelProto:
        imports = f'"" : {opset}, "com.microsoft" : 1'
        return onnx.parser.parse_model(f"<ir_version: 10, opset_import: [{imports}]>\n{text}")

    return parse

"""Small ONNX graphs written as text."""

import onnx
import pytest


@pytest.fixture
def graph():
    """Return a function that makes a model of onnx's textual form of a graph."""

    def parse(text: str, opset: int = 13) -> onnx.ModelProto:
        return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\n{text}')

    return parse

"""One ONNX node as the operators see it."""

from dataclasses import dataclass
from typing import Any

import onnx


@dataclass(frozen=True)
class Node:
    """The name, attributes, results and opset version of a node."""

    name: str
    op_type: str
    version: int
    attributes: dict[str, Any]
    outputs: tuple[str, ...]

    @staticmethod
    def of(proto: onnx.NodeProto, opset: int) -> "Node":
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
        return Node(proto.name or proto.output[0], proto.op_type, opset, attributes, tuple(proto.output))

    def get(self, attribute: str, default: Any = None) -> Any:
        """Return the value of an attribute."""
        value = self.attributes.get(attribute, default)
        return value.decode() if isinstance(value, bytes) else value

    def require(self, attribute: str, wanted: Any) -> None:
        """Raise ValueError unless the attribute is absent or `wanted`, its default: no other is supported."""
        found = self.get(attribute, wanted)
        if found != wanted:
            raise ValueError(f"attribute '{attribute}' is {found!r}, expected {wanted!r}")

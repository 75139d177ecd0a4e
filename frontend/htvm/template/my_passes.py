"""count-layers: refuse functions of too many layers.

Try it:        htvm-opt test/count_layers.mlir --load-pass-plugin my_passes.py -p 'count-layers{limit=1}'
Test it:       lit -v test
In a compiler: htvm compile model.onnx -o out --load-pass-plugin my_passes.py --passes integer=count-layers

A pass is a frozen dataclass with a name. Its fields are its options; a field `target: Soc` gets the machine that is
compiled for (htvm.backend.targets.soc). Everything else is MLIR's Python API; htvm.dialects.accel has the dialect's
classes, and questions such as accel.layers(module).
"""

from dataclasses import dataclass
from typing import ClassVar

from mlir import ir
from mlir.passmanager import ExternalPass

from htvm.dialects import accel


@dataclass(frozen=True)
class CountLayers:
    """Write the number of layers on each function, and report the first one beyond a limit."""

    name: ClassVar[str] = "count-layers"
    stages: ClassVar[tuple[str, ...]] = ("imported", "integer", "dispatched", "scheduled")

    limit: int = 100

    def __call__(self, module: ir.Operation, this_pass: ExternalPass) -> None:
        """Rewrite the module in place. The module's context and location are the current ones."""
        for function in accel.functions(module):
            layers = [op for op in function.body.blocks[0] if accel.is_layer(op)]
            function.attributes["my.layers"] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), len(layers))
            if len(layers) > self.limit:
                message = f"'{function.name.value}' has {len(layers)} layers, expected at most {self.limit}"
                layers[self.limit].location.emit_error(message)
                this_pass.signal_pass_failure()

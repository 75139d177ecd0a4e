"""onnxruntime.quantization.shape_inference as far as htvm uses it."""

from pathlib import Path

def quant_pre_process(
    input_model: str | Path, output_model_path: str | Path, skip_symbolic_shape: bool = False
) -> None: ...

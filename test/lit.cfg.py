"""What lit needs to know: which files are tests, and where the tools are that they run.

Tools are those of the Python that runs lit: htvm's own, and MLIR's and LLVM's from the packages of PyPI.
"""

import sys
from pathlib import Path

import lit.formats

from htvm import dialects, lit_config

sys.path.append(str(Path(__file__).parent))
import warm_commands  # noqa: E402

config.name = "htvm"  # noqa: F821  (lit defines `config`)
config.suffixes = [".mlir", ".test"]  # noqa: F821
config.test_format = lit.formats.ShTest(execute_external=False)  # noqa: F821
config.test_source_root = Path(__file__).parent  # noqa: F821
config.excludes = ["inputs", "Inputs", "unit", "end_to_end"]  # noqa: F821

folders = [warm_commands.folder(), *lit_config.tool_folders()]
config.environment["PATH"] = ":".join(map(str, [*folders, config.environment["PATH"]]))  # noqa: F821

config.substitutions += [  # noqa: F821
    ("%models", str(Path(__file__).parent / "inputs" / "models")),
    ("%plugin", str(dialects.PLUGIN)),
    ("%python", sys.executable),
]

"""What lit needs to know: which files are tests, and where the tools are that they run.

Tools are those of the Python that runs lit: htvm's own, and MLIR's and LLVM's from the packages of PyPI.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import lit.formats

from htvm import dialects

sys.path.append(str(Path(__file__).parent))
import warm_commands  # noqa: E402

config.name = "htvm"  # noqa: F821  (lit defines `config`)
config.suffixes = [".mlir", ".test"]  # noqa: F821
config.test_format = lit.formats.ShTest(execute_external=False)  # noqa: F821
config.test_source_root = Path(__file__).parent  # noqa: F821
config.excludes = ["inputs", "Inputs", "unit", "end_to_end"]  # noqa: F821

folders = [warm_commands.folder(), Path(sys.executable).parent]  # htvm, htvm-opt, htvm-translate; lit itself
for package in ("mlir", "llvm"):  # mlir-opt; FileCheck, not
    folders += [Path(place) / "bin" for place in find_spec(package).submodule_search_locations]
config.environment["PATH"] = ":".join(map(str, [*folders, config.environment["PATH"]]))  # noqa: F821

config.substitutions += [  # noqa: F821
    ("%models", str(Path(__file__).parent / "inputs" / "models")),
    ("%plugin", str(dialects.PLUGIN)),
    ("%python", sys.executable),
]

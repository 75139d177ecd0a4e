"""Reproducers, as mlir-opt writes and runs them: a module, and behind it the passes that fail on it.

    {-#
      external_resources: {
        mlir_reproducer: {
          pipeline: "builtin.module(order-layers)",
          disable_threading: false,
          verify_each: true
        },
        htvm_reproducer: {
          arguments: "--target diana"
        }
      }
    #-}

mlir-opt runs one whose passes are MLIR's. `arguments` are those of htvm-opt that the passes need.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

_PIPELINE = re.compile(r'mlir_reproducer: \{\s*pipeline: ("(?:[^"\\]|\\.)*")')
_VERIFY = re.compile(r"verify_each: (true|false)")
_ARGUMENTS = re.compile(r'htvm_reproducer: \{\s*arguments: ("(?:[^"\\]|\\.)*")')
_SECTION = re.compile(r"\n\{-#\s*external_resources: \{\s*mlir_reproducer: .*?#-\}\s*\Z", re.DOTALL)


@dataclass(frozen=True)
class Reproducer:
    """pipeline: of passes on a module. arguments: of htvm-opt, without the passes."""

    pipeline: str
    arguments: tuple[str, ...] = ()
    verify_each: bool = True

    def text(self, module: str) -> str:
        """Return the text of a module with this behind it."""
        verify = str(self.verify_each).lower()
        return (
            f"{module.rstrip()}\n\n{{-#\n  external_resources: {{\n    mlir_reproducer: {{\n"
            f"      pipeline: {json.dumps(f'builtin.module({self.pipeline})')},\n      disable_threading: false,\n"
            f"      verify_each: {verify}\n    }},\n    htvm_reproducer: {{\n"
            f"      arguments: {json.dumps(shlex.join(self.arguments))}\n    }}\n  }}\n#-}}\n"
        )


def read(text: str) -> tuple[Reproducer, str] | None:
    """Return the reproducer in a text and the text without it; None if there is none. Line numbers stay."""
    pipeline = _PIPELINE.search(text)
    if pipeline is None:
        return None
    arguments, verify = _ARGUMENTS.search(text), _VERIFY.search(text)
    words: Sequence[str] = shlex.split(json.loads(arguments[1])) if arguments else ()
    found = Reproducer(json.loads(pipeline[1]), tuple(words), verify is None or verify[1] == "true")
    return found, _SECTION.sub("\n", text)

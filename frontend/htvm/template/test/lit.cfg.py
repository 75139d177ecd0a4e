# lit runs this for the tests in this folder: it finds htvm-opt, FileCheck and `not`, and loads the passes.

from pathlib import Path

import htvm.lit_config

htvm.lit_config.configure(config, name="my-passes", passes=[Path(__file__).parent.parent / "my_passes.py"])

"""From a module in stage planned to a C project for its host.

`emit_c` returns the files of the project, `write_project` puts them into a folder.
"""

from .emit import emit_c
from .project import ProjectFolderError, write_project

__all__ = ["ProjectFolderError", "emit_c", "write_project"]

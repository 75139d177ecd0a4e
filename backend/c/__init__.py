"""From a module in stage planned to a C project for its host.

`emit_c` returns the sources of the project and its record, `write_project` puts files into a folder.
"""

from .emit import Emitted, emit_c
from .project import ProjectFolderError, write_project

__all__ = ["Emitted", "ProjectFolderError", "emit_c", "write_project"]

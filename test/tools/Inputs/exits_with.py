"""Run a command and succeed if it ends with the status that the first argument says."""

import subprocess
import sys

wanted, *command = sys.argv[1:]
sys.exit(subprocess.run(command).returncode != int(wanted))

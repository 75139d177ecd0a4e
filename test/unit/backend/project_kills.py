"""Kill writers of a project at random moments and count what they leave.

    python test/unit/backend/project_kills.py 2000 [SEED]

writes a project again and again in a child, kills it, and looks: at the files as they are, and after `finish`, with
which every command that reads or writes a project begins.
"""

import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from htvm.backend.c.project import SUMS, finish, read_sums, write_project

VERSIONS = [
    {f"file_{number}.c": f"int version_{version};\n" * 200 for number in range(version, version + 8)}
    for version in range(2)
]
PRECIOUS = "precious"


@dataclass
class Kills:
    """Counts. kills: of all; amid: those in the middle of writing, which leave scratch files.

    raw_mixed: projects of which some files were new and some old before `finish`; mixed: after it.
    lost: files of the user that are gone. left: scratch files and folders that are still there after the next writer.
    """

    kills: int = 0
    old_or_new: int = 0
    amid: int = 0
    raw_mixed: int = 0
    mixed: int = 0
    lost: int = 0
    left: int = 0


def is_whole(folder: Path) -> bool:
    """Say whether a folder has all files of one version, none of the other, and the list of that version."""
    found = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    sums = read_sums(folder)
    found.pop(SUMS, None)
    found.pop("mine.txt", None)
    return found in VERSIONS and sums is not None and sums.keys() == found.keys()


def scratch(folder: Path) -> list[Path]:
    return [path for place in (folder, folder.parent) for path in place.iterdir() if path.name.startswith(".")]


def write_forever(folder: Path) -> None:
    number = 0
    while True:
        number += 1
        write_project(VERSIONS[number % 2], folder)


def count(folder: Path, kills: int, seed: int, in_place: bool, amid: int = 0) -> Kills:
    """Return what so many kills leave, or up to ten times as many until `amid` of them were in the middle of writing.

    in_place: the folder has another one in it, so it cannot be exchanged.
    """
    found, chance = Kills(), random.Random(seed)
    write_project(VERSIONS[0], folder)
    mine = [folder / "mine.txt"]
    if in_place:
        (folder / "folder").mkdir()
        mine.append(folder / "folder" / "mine.txt")
    for path in mine:
        path.write_text(PRECIOUS)
    while found.kills < kills or (found.amid < amid and found.kills < 10 * kills):
        found.kills += 1
        child = os.fork()
        if not child:
            write_forever(folder)
        time.sleep(chance.uniform(0.001, 0.012))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found.amid += bool(scratch(folder))
        found.raw_mixed += not is_whole(folder)
        finish(folder)
        if is_whole(folder):
            found.old_or_new += 1
        else:
            found.mixed += 1
        found.lost += sum(not path.exists() or path.read_text() != PRECIOUS for path in mine)
    write_project(VERSIONS[0], folder)
    found.left = len(scratch(folder))
    return found


if __name__ == "__main__":
    for way in (False, True):
        with tempfile.TemporaryDirectory() as place:
            each = count(Path(place) / "out", int(sys.argv[1]), int([*sys.argv, "0"][2]), way)
            print("in place:" if way else "exchange:", each)

"""The packages: built, installed into a fresh environment, and used from an empty folder as the pages say."""

import os
import re
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from machine import machine

from htvm.versions import cmake_dir

ROOT = Path(__file__).parents[2]


def run(folder: Path, *words: str | Path, **variables: str) -> str:
    """Run a command in a folder and return what it printed, to either stream."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HTVM", "VIRTUAL"))}
    done = subprocess.run(
        [*map(str, words)], cwd=folder, env={**clean, **variables}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, f"$ {' '.join(map(str, words))}\n{done.stdout[-4000:]}"
    return done.stdout


def test_this_installation_has_what_programs_in_cpp_need() -> None:
    """Cheap enough for every run: the files that CMake installs are there, and name what is there."""
    prefix = cmake_dir().parents[2]
    config = (cmake_dir() / "htvmConfig.cmake").read_text()
    assert "@" not in re.sub(r"#.*", "", config) and (cmake_dir() / "htvmConfigVersion.cmake").is_file()
    for library in re.findall(r"\$\{htvm_PREFIX\}/(lib/lib\w+\.a)", config):
        assert (prefix / library).stat().st_size > 10_000
    headers = {path.relative_to(prefix / "include").as_posix() for path in (prefix / "include").rglob("*.*")}
    sources = {f"htvm/accel/{path.name}" for path in (ROOT / "dialects" / "accel").glob("*.td")}
    assert headers >= sources | {"htvm/accel/Accel.h", "htvm-c/Accel.h", "htvm-c/Compile.h"}
    included = re.findall(r'#include "(Accel\w+\.h\.inc)"', (ROOT / "dialects" / "accel" / "Accel.h").read_text())
    assert included and headers >= {f"htvm/accel/{name}" for name in included}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Build a wheel from the sdist, which thereby has all that a wheel needs; return the folder with both."""
    folder = tmp_path_factory.mktemp("built")
    make = "import sys; from scikit_build_core.build import build_sdist; build_sdist(sys.argv[1])"
    if find_spec("scikit_build_core") is None:
        pytest.skip("no scikit-build-core")
    run(ROOT, sys.executable, "-c", make, folder)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert not any("test/inputs" in name for name in names) and any(name.endswith("AccelOps.td") for name in names)
    wheel = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, sdist]
    run(folder, sys.executable, *wheel, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    yield folder


@pytest.mark.slow
def test_a_wheel_works_in_a_fresh_environment(built: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=True)
    binaries = tmp_path / "env" / "bin"
    (wheel,) = built.glob("*.whl")
    run(tmp_path, binaries / "python", "-m", "pip", "install", "--quiet", wheel, "lit")
    assert "No broken requirements" in run(tmp_path, binaries / "python", "-m", "pip", "check")

    empty = tmp_path / "empty"
    empty.mkdir()
    path = {"PATH": f"{binaries}:{os.environ['PATH']}"}

    def htvm(*words: str) -> str:
        return run(empty, *words, **path)

    htvm("htvm", "example")
    assert "C of 'example'" in htvm("htvm", "compile", "example.onnx", "-o", "example_c")
    assert "cycles" in htvm("htvm", "run", "example_c", "--inputs", "example.npz")
    htvm("htvm-translate", "--import-onnx", "example.onnx", "-o", "example.mlir")
    assert "exact on target 'rv32'" in htvm("htvm", "verify", "example.mlir")
    htvm("htvm-opt", "example.mlir", "-p", "integer,dispatched,cse", "--target", "diana", "-o", "out.mlir")
    assert "Passed: 1" in htvm("bash", "-c", "htvm example --passes mine && lit -v mine/test")
    plugin = ["--load-pass-plugin", "mine/my_passes.py", "--passes", "integer=count-layers"]
    assert "C of 'example'" in htvm("htvm", "compile", "example.mlir", "-o", "again_c", *plugin)

    run(empty, binaries / "python", "-m", "pip", "install", "--quiet", "--no-deps", "./mine")
    assert "(my_passes)" in htvm("htvm-opt", "--list-passes")
    assert "Passed: 1" in htvm("lit", "-v", "mine/test")  # which loads the file that is installed as well
    assert "'example' has" in htvm(
        "bash", "-c", "! htvm compile example.onnx -o c --passes 'integer=count-layers{limit=1}'"
    )
    code = "import htvm; print(htvm.compile('example.mlir', passes={'integer': 'count-layers'}).project.report.name)"
    assert htvm("python", "-c", code) == "example\n"

    if machine().has_mlir_for_cpp:
        page = (ROOT / "docs" / "integrations" / "cpp.md").read_text()
        for name, text in re.findall(r":caption: (\S+)\n\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
            (empty / name).parent.mkdir(exist_ok=True)
            (empty / name).write_text(text)
        prefixes = [
            f"-Dhtvm_{name.upper()}_PREFIX={Path(place)}"
            for name in ("mlir", "llvm")
            for place in find_spec(name).submodule_search_locations
        ]
        found = htvm("htvm", "--cmake-dir").strip()
        for folder in (".", "in_c", "dialect"):
            htvm("cmake", "-S", folder, "-B", f"{folder}/build", f"-Dhtvm_DIR={found}", *prefixes)
            htvm("cmake", "--build", f"{folder}/build")
        assert "C of 'sum'" in htvm("./build/network")
        assert "C of 'relu'" in htvm("./in_c/build/network")
        assert "mine.twice" in htvm("htvm-opt", "twice.mlir", "--load-dialect-plugin", "dialect/build/mine.so")

"""Files that are meant to harm give an error or the right result; what others call things changes no C."""

import re
from pathlib import Path

import hostile_files
import onnx
import pytest
from limited import outcomes

ACCEPTED = {
    "duplicate_node_name", "duplicate_result", "result_is_input", "conv_strides_huge", "conv_dilations_huge",
    "scale_largest", "scale_smallest_normal", "weight_scale_smallest_normal",
    "weight_scale_largest", "weights_out_of_range",
    "sums_beyond_32_bits", "sigmoid_layers", "channels_2000", "pool_layers", "exp_huge", "log_of_negative",
    "slice_huge", "split_many",
    *(f"name_{name}" for name in hostile_files.NAMES), "na'me; touch evil #\"", "main",
}  # fmt: skip
"""Files that are odd, and have a meaning all the same: what is computed must be that."""

EXECUTED = ACCEPTED - {"sigmoid_layers", "channels_2000", *(f"name_{name}" for name in hostile_files.NAMES)} | {
    "name_newline",
    "name_keyword",
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folder of the files and an empty one to work in."""
    top = tmp_path_factory.mktemp("hostile")
    for name in ("files", "work"):
        (top / name).mkdir()
    hostile_files.write(top / "files")
    return top / "files", top / "work"


def everything(folder: Path) -> set[Path]:
    """Return what is in a folder, but for what is written to the output folders in `work`."""
    paths = {path: path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    return {path for path, name in paths.items() if not name.startswith("work/out")}


def test_hostile_files_are_errors_or_compile(places: tuple[Path, Path]) -> None:
    files, work = places
    models = sorted(files.glob("*.onnx"))
    assert len(models) > 140
    before = everything(files.parent)
    found = outcomes([("compile", model, "-o", work / f"out{n}") for n, model in enumerate(models)], work)
    wrong = {model.stem: problem for model, outcome in zip(models, found) if (problem := outcome.problem())}
    assert not wrong
    assert {model.stem for model, outcome in zip(models, found) if outcome.status == 0} == ACCEPTED
    for model, outcome in zip(models, found):
        if outcome.status:
            assert model.stem.replace("\0", "") in outcome.output, "the message names the file"
    assert everything(files.parent) == before, "files are written into the output folder only"


def test_what_is_accepted_is_exact(places: tuple[Path, Path]) -> None:
    files, work = places
    found = outcomes([("verify", files / f"{name}.onnx") for name in sorted(EXECUTED)], work)
    assert not [outcome for outcome in found if ": exact on target 'rv32'" not in outcome.output]
    assert not any(work.glob("*evil*"))


def test_names_change_no_c(places: tuple[Path, Path]) -> None:
    """But for comments, and for what the inputs and outputs are called, the C is the same."""
    files, work = places
    onnx.save(hostile_files.called("tame"), files.parent / "nice.onnx")  # includes are in alphabetical order
    models = [files.parent / "nice.onnx", *(files / f"name_{name}.onnx" for name in hostile_files.NAMES)]
    folders = [work / f"out_{model.stem}" for model in models]
    found = outcomes([("compile", model, "-o", folder) for model, folder in zip(models, folders)], work)
    assert not any(outcome.status for outcome in found), found
    for model, folder in zip(models, folders):
        new: dict[str, str] = {}
        for tame in folders[0].glob("*.[ch]"):
            here = tokens(folder / tame.name.replace("nice", model.stem))
            for token, other in zip(tokens(tame), here, strict=True):
                if re.search("nice|tame", token, re.IGNORECASE):
                    assert re.fullmatch("[A-Za-z][A-Za-z0-9_]*", other) and new.setdefault(token, other) == other
                else:
                    assert token == other, model.name
        assert len(set(new.values())) == len(new) > 10


def tokens(path: Path) -> list[str]:
    """Return the tokens of a C file as a compiler finds them: trigraphs, then joined lines, then comments."""
    text = path.read_text(encoding="ascii")
    text = text.replace("??/", "\\").replace("\\\n", "")
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    return re.findall(r"\w+|\S", text)


def test_a_page_shows_names_as_text(places: tuple[Path, Path]) -> None:
    files, work = places
    (outcome,) = outcomes([("report", files / "name_script.onnx", "-o", work / "out.html")], work)
    assert outcome.status == 0, outcome.output
    page = (work / "out.html").read_text(encoding="utf-8")
    assert "alert(1)" in page
    assert "<script>alert(1)" not in page and "<img src=x" not in page

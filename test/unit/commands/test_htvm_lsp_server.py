"""The language server, as an editor talks to it: it knows the dialect and reports what its verifiers say."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import machine

SERVER = Path(sys.executable).parent / "htvm-lsp-server"
PAGE = Path(__file__).parents[3] / "docs" / "editors.md"
URI = "file:///add.mlir"
WRONG = """\
func.func @add(%a: tensor<1x4xi8>, %b: tensor<1x5xi8>) -> tensor<1x4xi8> {
  %y = accel.add %a, %b : (tensor<1x4xi8>, tensor<1x5xi8>) -> tensor<1x4xi8>
  return %y : tensor<1x4xi8>
}
"""


class Editor:
    """The other end of a language server."""

    def __init__(self) -> None:
        self.server = subprocess.Popen([SERVER, "--log=error"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(self, method: str, number: int | None = None, **parameters: object) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": parameters} | ({"id": number} if number else {})
        content = json.dumps(message).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(content) + content)
        self.server.stdin.flush()

    def receive(self) -> dict:
        header = iter(lambda: self.server.stdout.readline().strip(), b"")
        sizes = [int(line.partition(b":")[2]) for line in header if line.startswith(b"Content-Length")]
        return json.loads(self.server.stdout.read(sizes[0]))


@pytest.fixture
def editor() -> Iterator[Editor]:
    """Yield an editor whose server has started, and see that it ends well."""
    made = Editor()
    made.send("initialize", 1, processId=None, rootUri=None, capabilities={})
    assert made.receive()["result"]["capabilities"]["hoverProvider"]
    yield made
    made.send("shutdown", 9)
    made.receive()
    made.send("exit")
    assert made.server.wait(30) == 0


def open_file(editor: Editor, text: str) -> list[dict]:
    document = {"uri": URI, "languageId": "mlir", "version": 1, "text": text}
    editor.send("textDocument/didOpen", textDocument=document)
    return editor.receive()["params"]["diagnostics"]


def test_a_wrong_operation_is_marked_where_it_is(editor: Editor) -> None:
    (found,) = open_file(editor, WRONG)
    assert "'accel.add' op" in found["message"] and found["range"]["start"]["line"] == 1


def test_a_right_one_is_known_and_its_operands_are_found(editor: Editor) -> None:
    assert open_file(editor, WRONG.replace("1x5", "1x4")) == []
    at = {"line": 1, "character": WRONG.splitlines()[1].index("%b")}
    editor.send("textDocument/definition", 2, textDocument={"uri": URI}, position=at)
    assert editor.receive()["result"][0]["range"]["start"] == {"line": 0, "character": WRONG.index("%b")}


def test_hover_shows_an_operation_and_completion_names_them(editor: Editor) -> None:
    assert open_file(editor, WRONG.replace("1x5", "1x4")) == []
    editor.send("textDocument/hover", 2, textDocument={"uri": URI}, position={"line": 1, "character": 8})
    assert '%0 = "accel.add"(%arg0, %arg1)' in editor.receive()["result"]["contents"]["value"]
    text = "func.func @f(%a: tensor<1x4xi8>) -> tensor<1x4xi8> {\n  %y = accel.\n}\n"
    editor.send("textDocument/didChange", textDocument={"uri": URI, "version": 2}, contentChanges=[{"text": text}])
    assert editor.receive()["params"]["diagnostics"]
    editor.send("textDocument/completion", 3, textDocument={"uri": URI}, position={"line": 1, "character": 13})
    assert {"add", "conv2d", "launch"} <= {item["label"] for item in editor.receive()["result"]["items"]}


# The page for users


def example(option: str) -> str:
    """Return a block of code of docs/editors.md."""
    return re.search(rf"```{{code-block}} \w+\n:{option}\n\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]


def test_the_wrong_file_of_the_page_is_marked_as_it_says(editor: Editor) -> None:
    (found,) = open_file(editor, example("caption: wrong.mlir"))
    said = re.search(r"\*('accel.pool2d' op .*?)\*", PAGE.read_text(), re.DOTALL)[1]
    assert " ".join(said.split()) in found["message"] and found["range"]["start"]["line"] == 1
    assert open_file(editor, example("caption: wrong.mlir").replace("median", "max")) == []


PROBE = """
vim.wait(20000, function() return #vim.diagnostic.get(0) > 0 end, 50)
for _, each in ipairs(vim.diagnostic.get(0)) do io.stdout:write(each.lnum, " ", each.message, "\\n") end
vim.cmd("qa!")
"""


@pytest.mark.skipif(not machine().neovim, reason="no Neovim")
def test_neovim_marks_the_wrong_file_with_the_set_up_of_the_page(tmp_path: Path) -> None:
    version = subprocess.run(["nvim", "--version"], capture_output=True, text=True).stdout
    is_new = tuple(map(int, re.search(r"v(\d+)\.(\d+)", version).groups())) >= (0, 11)
    for name, text in (
        ("init.lua", example(f"name: neovim-{'new' if is_new else 'old'}")),
        ("wrong.mlir", example("caption: wrong.mlir")),
        ("probe.lua", PROBE),
    ):
        (tmp_path / name).write_text(text)
    environment = {**os.environ, "PATH": f"{SERVER.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    command = ["nvim", "--headless", "-u", "init.lua", "wrong.mlir", "-c", "luafile probe.lua"]
    shown = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60).stdout
    assert shown.startswith("1 ") and "'accel.pool2d' op attribute 'kind'" in shown, shown

"""The language server, as an editor talks to it: it knows the dialect and reports what its verifiers say."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVER = Path(sys.executable).parent / "htvm-lsp-server"
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

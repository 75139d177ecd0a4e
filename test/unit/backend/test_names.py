"""Names and comments of generated C, whatever the ONNX file calls things."""

import re

import pytest

from htvm.backend.c.names import KEYWORDS, comment_text, identifier, project_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input", "input"),
        ("serving_default_input:0", "serving_default_input_0"),
        ("model/conv2d/BiasAdd;model/relu", "model_conv2d_BiasAdd_model_relu"),
        ("0weird", "x_0weird"),
        ("", "unnamed"),
        ("输入", "unnamed"),
        ("_Reserved", "Reserved"),
        ("int", "int_"),
        ("class", "class_"),
        ("int8_t", "x_int8_t"),
        ("htvm_step_0", "x_htvm_step_0"),
    ],
)
def test_identifier_is_like_the_name(text, expected):
    assert identifier(text) == expected


def test_identifier_avoids_what_is_taken():
    assert identifier("x", {"x", "x_2"}) == "x_3"


@pytest.mark.parametrize("text", [*sorted(KEYWORDS), "a b", "__", "9", "\n", "*/", "é"])
def test_identifier_is_valid_c(text):
    name = identifier(text)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
    assert name not in KEYWORDS


@pytest.mark.parametrize(
    ("model", "expected"), [("resnet8", "resnet8"), ("start", "model_start"), ("Link", "model_Link"), ("main", "main_")]
)
def test_project_name_leaves_the_project_its_files(model, expected):
    assert project_name(model) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain name", "plain name"),
        ("evil */ int x; /*", "evil *\\x2f int x; /\\x2a"),
        ("line\nbreak\r", "line\\x0abreak\\x0d"),
        ("backslash\\", "backslash\\x5c"),
        ("trigraph ??/", "trigraph ?\\x3f/"),
        ("????/", "?\\x3f?\\x3f/"),
        ("naïve", "na\\xefve"),
        ("输", "\\u8f93"),
        ("🙂", "\\U0001f642"),
    ],
)
def test_comment_text_stays_in_its_comment(text, expected):
    escaped = comment_text(text)
    assert escaped == expected
    assert all(" " <= letter <= "~" for letter in escaped)
    assert not re.search(r"\*/|/\*|\?\?|\\$", escaped)

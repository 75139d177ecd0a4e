"""Colours for MLIR's text."""

from pygments.lexer import RegexLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text


class MlirLexer(RegexLexer):
    """The tokens that matter to a reader; what operations mean is not its business."""

    name = "MLIR"
    aliases = ["mlir"]
    tokens = {
        "root": [
            (r"//.*$", Comment.Single),
            (r'"[^"\n]*"', String),
            (r"%[\w$.-]+", Name.Variable),
            (r"@[\w$.-]+", Name.Function),
            (r"[#!][\w$.-]+", Name.Class),
            (r"\b(tensor|memref|vector|index|none|affine_map|dense|array|loc)\b", Keyword.Type),
            (r"\b[us]?i\d+\b|\bf\d+\b", Keyword.Type),
            (r"\b[a-z_]+\.[\w.]+", Name.Builtin),
            (r"\b(into|at|bias|scratch|after|return|module)\b", Keyword),
            (r"-?\b\d[\w.+]*", Number),
            (r"==>|->|[=:]", Operator),
            (r"[\[\]{}()<>,]", Punctuation),
            (r"\s+|.", Text),
        ]
    }

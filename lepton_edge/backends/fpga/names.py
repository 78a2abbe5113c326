"""Names of layers as identifiers of C++ and SystemVerilog."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_LENGTH = 40

_RESERVED = frozenset(
    [
        "alignas",
        "alignof",
        "and",
        "asm",
        "auto",
        "bool",
        "break",
        "case",
        "catch",
        "char",
        "class",
        "const",
        "constexpr",
        "continue",
        "default",
        "delete",
        "do",
        "double",
        "else",
        "enum",
        "explicit",
        "extern",
        "false",
        "float",
        "for",
        "friend",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "mutable",
        "namespace",
        "new",
        "not",
        "operator",
        "or",
        "private",
        "protected",
        "public",
        "register",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "struct",
        "switch",
        "template",
        "this",
        "throw",
        "true",
        "try",
        "typedef",
        "union",
        "unsigned",
        "using",
        "virtual",
        "void",
        "volatile",
        "while",
        "xor",
        "input",
        "output",
        "module",
        "wire",
        "reg",
        "logic",
        "always",
        "assign",
        "begin",
        "end",
    ]
)


def identifier(name: str) -> str:
    """Return a short identifier for a layer's name.

    Exporters join the names of fused nodes with ``;`` and nest modules with ``/``; the last two
    parts of the last name say most: ``model/conv2d;model/conv2d/Conv2D1`` is ``conv2d_Conv2D1``.
    """
    last = name.rstrip(";").split(";")[-1]
    parts = [p for p in re.split(r"[/:.]+", last) if p]
    text = re.sub(r"\W+", "_", "_".join(parts[-2:]), flags=re.ASCII).strip("_")
    text = re.sub(r"__+", "_", text)[-MAX_LENGTH:].strip("_") or "layer"
    return f"n{text}" if text[0].isdigit() or text in _RESERVED else text


def unique_identifiers(names: Iterable[str]) -> dict[str, str]:
    """Return an identifier for each name, no two alike (ignoring case, for file systems)."""
    result: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        base = candidate = identifier(name)
        count = 2
        while candidate.lower() in taken:
            candidate, count = f"{base}_{count}", count + 1
        taken.add(candidate.lower())
        result[name] = candidate
    return result

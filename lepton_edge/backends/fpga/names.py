"""Names of layers as identifiers of C++ and SystemVerilog."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_LENGTH = 40

_CPP = (
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t "
    "char32_t class compl const const_cast constexpr continue decltype default delete do double "
    "dynamic_cast else enum explicit extern false float for friend goto if inline int long "
    "mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected "
    "public register reinterpret_cast return short signed sizeof static static_assert "
    "static_cast struct switch template this thread_local throw true try typedef typeid "
    "typename union unsigned using virtual void volatile wchar_t while xor xor_eq"
)
_VERILOG = (
    "always assign automatic begin bit buf byte cell clocking config cover cross design disable "
    "edge end endcase endfunction endmodule endtask event final function generate genvar global "
    "include initial inout input instance integer interface join library local logic "
    "macromodule module negedge output packed parameter posedge primitive process program "
    "property pull pure real realtime ref reg release repeat scalared sequence signal solve "
    "specify string super supply0 supply1 table tagged task time tri type unique use var "
    "vectored wait wand weak wire with within wor"
)
_PROJECT = (
    "EOF NULL accelerator ap_axiu ap_int ap_uint design_id errno frames hls layers lepton main "
    "std stderr stdin stdout"
)
_RESERVED = frozenset(f"{_CPP} {_VERILOG} {_PROJECT}".split())
"""What no layer and no design may be called: words of the languages, names of the project's own."""


class Namespace:
    """Names that are taken, ignoring case, for file systems.

    Args:
        taken: names taken already.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.lower() for name in taken}

    def take(self, wanted: str) -> str:
        """Return ``wanted``, with a number behind it when that is taken, and take it."""
        name, count = wanted, 2
        while name.lower() in self._taken:
            name, count = f"{wanted}_{count}", count + 1
        self._taken.add(name.lower())
        return name


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
    """Return an identifier for each name, no two alike."""
    taken = Namespace()
    return {name: taken.take(identifier(name)) for name in names}

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
    "accept_on alias always always_comb always_ff always_latch and assert assign assume "
    "automatic before begin bind bins binsof bit break buf bufif0 bufif1 byte case casex casez "
    "cell chandle checker class clocking cmos config const constraint context continue cover "
    "covergroup coverpoint cross deassign default defparam design disable dist do edge else "
    "end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup "
    "endinterface endmodule endpackage endprimitive endprogram endproperty endsequence "
    "endspecify endtable endtask enum event eventually expect export extends extern final "
    "first_match for force foreach forever fork forkjoin function generate genvar global "
    "highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir "
    "include initial inout input inside instance int integer interconnect interface intersect "
    "join join_any join_none large let liblist library local localparam logic longint "
    "macromodule matches medium modport module nand negedge nettype new nexttime nmos nor "
    "noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge "
    "primitive priority program property protected pull0 pull1 pulldown pullup "
    "pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence rcmos real "
    "realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0 "
    "rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint "
    "shortreal showcancelled signed small soft solve specify specparam static string strong "
    "strong0 strong1 struct super supply0 supply1 sync_accept_on sync_reject_on table tagged "
    "task this throughout time timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 "
    "triand trior trireg type typedef union unique unique0 unsigned until until_with untyped "
    "use uwire var vectored virtual void wait wait_order wand weak weak0 weak1 while wildcard "
    "wire with within wor xnor xor pull"
)
"""Source: IEEE 1800-2017, annex B."""
_PROJECT = (
    "EOF NULL accelerator ap_axiu ap_int ap_uint design_id errno frames hls layers lepton main "
    "registers std stderr stdin stdout"
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
    is_taken = text in _RESERVED or text.startswith("lepton_")  # as the kernels' modules are
    return f"n{text}" if text[0].isdigit() or is_taken else text


def unique_identifiers(names: Iterable[str]) -> dict[str, str]:
    """Return an identifier for each name, no two alike."""
    taken = Namespace()
    return {name: taken.take(identifier(name)) for name in names}

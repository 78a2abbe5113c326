"""The RTL leaf of each kernel, as the harness wants it."""

from __future__ import annotations

from collections.abc import Sequence

from lepton_edge.backends.fpga.kernels.base import Kernel, Port
from lepton_edge.backends.fpga.kernels.plumbing import AxisEnd
from lepton_edge.backends.fpga.rtl_text import all_parameters, memory_files
from tests.hwsim.rtl.harness import Leaf, Stream


def leaf_of(kernel: Kernel, name: str) -> Leaf:
    """Return the RTL of a kernel, as an instance of that name; its files are named after it."""
    module = kernel.module
    streams = [
        *_streams(module.inputs, kernel.inputs, is_input=True),
        *_streams(module.outputs, kernel.outputs, is_input=False),
    ]
    ties, opens = {}, {}
    if isinstance(kernel, AxisEnd):
        axis = ("axis_tdata", "axis_tvalid", "axis_tready")
        if kernel.is_input:
            streams[0] = Stream("in", kernel.axis_width, True, *axis)
            ties = {"start": "1'b0", "frames": "32'd0"}
        else:
            streams[1] = Stream("out", kernel.axis_width + 1, False, *axis, "axis_tlast")
            opens = {"frame_done": 1, "axis_tkeep": kernel.axis_width // 8}
    parameters, files = all_parameters(name, module), memory_files(name, module)
    return Leaf(name, module.name, parameters, tuple(streams), files, ties, opens)


def _streams(prefixes: Sequence[str], ports: Sequence[Port], *, is_input: bool) -> list[Stream]:
    return [
        Stream(prefix.removesuffix("_"), port.width, is_input)
        for prefix, port in zip(prefixes, ports, strict=True)
    ]

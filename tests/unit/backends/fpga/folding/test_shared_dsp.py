"""Rows that share DSP blocks: offered where the board's blocks can, planned, and pinned."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lepton_edge.backends.boards import load_board
from lepton_edge.backends.fpga.dataflow import Dataflow
from lepton_edge.backends.fpga.design import Request, make_design
from lepton_edge.backends.fpga.folding import Goal, plan
from lepton_edge.backends.fpga.kernels.matrix_vector import MatrixVector
from lepton_edge.errors import ConfigError, DoesNotFitError


def dense(net, rows: int, wide_bits: int) -> Dataflow:
    n = net("dense")
    flow = n.dataflow(n.dense("d", n.input(24), rows))

    def wide(actor):
        kernel = actor.kernel
        is_dense = isinstance(kernel, MatrixVector)
        return replace(kernel, wide_bits=wide_bits) if is_dense else kernel

    return flow.with_kernels(wide)


def offered(net, rows: int, wide_bits: int) -> set[int]:
    (kernel,) = (
        a.kernel for a in dense(net, rows, wide_bits).actors if isinstance(a.kernel, MatrixVector)
    )
    return {k.folding["dsp"] for k in kernel.foldings()}


def test_rows_share_a_block_where_it_is_wide_enough(net) -> None:
    """Single products of 4 x 4 bits are none that synthesis puts into a block."""
    assert offered(net, 8, 0) == {0}
    assert offered(net, 8, 25) >= {0, 2}
    assert offered(net, 7, 25) == {0}


def test_scarce_blocks_are_shared(net, plenty) -> None:
    """Twelve products a cycle: in six blocks, or in more LUTs than there are."""
    goal, pins = Goal(cycles=16), {"d": {"dsp": 2, "pe": 2, "simd": 6}}
    pinned = plan(dense(net, 8, 25), plenty, goal, pins)
    assert pinned.resources.dsp == 6
    tight = replace(plenty, dsp=6, lut=pinned.resources.lut)
    found = plan(dense(net, 8, 25), tight, goal)
    assert [a.kernel.folding["dsp"] for a in found.actors if a.name == "d"] == [2]
    with pytest.raises(DoesNotFitError):
        plan(dense(net, 8, 0), tight, goal)


@pytest.mark.parametrize("dsp", [0, 2])
def test_a_pin_says_how_many_products_a_block_makes(net, plenty, dsp: int) -> None:
    planned = plan(dense(net, 8, 25), plenty, Goal(), {"d": {"dsp": dsp, "pe": 4, "simd": 6}})
    assert planned.resources.dsp == (24 // dsp if dsp else 0)


def test_other_boards_refuse_the_pin_and_say_what_there_is(small) -> None:
    pins = {"block/conv": {"dsp": 2}}
    design = make_design(small, {}, Request(load_board("pynq-z2"), 100, pins=pins))
    (kernel,) = (a.kernel for a in design.dataflow.actors if a.name == "block_conv")
    assert kernel.folding["dsp"] == 2
    assert kernel.module.parameters["FIELDS"] == 2
    with pytest.raises(ConfigError, match=re.escape("dsp = 2 is not a folding of this layer")):
        make_design(small, {}, Request(load_board("ulx3s-85f"), 100, pins=pins))

"""What quantisation costs is measured between two forms of one network."""

from __future__ import annotations

import numpy as np
import pytest

from lepton_edge.ir.graph import Graph, GraphBuilder
from lepton_edge.ir.ops.linear import Dense
from lepton_edge.ir.types import Float, TensorType
from lepton_edge.passes.quantization_loss import MAX_SAMPLES, quantization_loss


def scaled(factor: float) -> Graph:
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType((1, 3), Float()))
    weights = builder.constant(factor * np.eye(3, dtype=np.float32))
    return builder.finish(builder.emit(Dense(), [x, weights], name="y", outputs=["y"]))


SAMPLES = {"x": np.random.default_rng(0).standard_normal((100, 3)).astype(np.float32)}


def test_a_network_loses_nothing_against_itself() -> None:
    loss = quantization_loss(scaled(1.0), scaled(1.0), SAMPLES)
    assert (loss.samples, loss.relative_error, loss.same_top1) == (MAX_SAMPLES, 0.0, 1.0)


def test_the_error_is_relative_to_the_floats() -> None:
    loss = quantization_loss(scaled(2.0), scaled(3.0), SAMPLES)
    assert loss.relative_error == pytest.approx(0.5)
    assert loss.same_top1 == 1.0


def test_a_network_turned_around_has_other_winners() -> None:
    loss = quantization_loss(scaled(1.0), scaled(-1.0), SAMPLES)
    assert loss.same_top1 == 0.0

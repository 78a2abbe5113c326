"""What quantisation costs: the integer network against the float one, on real inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lepton_edge.ir import interpreter
from lepton_edge.ir.graph import Graph
from lepton_edge.ir.types import Array

MAX_SAMPLES = 64
"""Enough to tell a good quantisation from a bad one; accuracy wants a labelled set."""


@dataclass(frozen=True)
class QuantizationLoss:
    """How far the integers are from the floats.

    Args:
        samples: how many were compared.
        relative_error: ||integers - floats|| / ||floats|| over all outputs.
        same_top1: share of samples whose largest output is the same one; None where no output
            is a row of several classes.
    """

    samples: int
    relative_error: float
    same_top1: float | None


def quantization_loss(
    floats: Graph, integers: Graph, samples: Mapping[str, Array]
) -> QuantizationLoss:
    """Compare two forms of a network.

    Args:
        floats: the float network.
        integers: the quantised one, with the same inputs and outputs.
        samples: inputs [N, ...]; the first MAX_SAMPLES are used.
    """
    few = {name: array[:MAX_SAMPLES] for name, array in samples.items()}
    wanted, found = interpreter.run(floats, few), interpreter.run(integers, few)
    distance = scale = 0.0
    same: list[Array] = []
    for name in floats.outputs:
        a, b = wanted[name].astype(np.float64), found[name].astype(np.float64)
        distance += float(((a - b) ** 2).sum())
        scale += float((a**2).sum())
        if a.ndim == 2 and a.shape[1] > 1:
            same.append(a.argmax(axis=1) == b.argmax(axis=1))
    count = len(next(iter(few.values()), np.zeros(0)))
    error = float(np.sqrt(distance / scale)) if scale > 0 else float(distance > 0)
    return QuantizationLoss(count, error, float(np.mean(same)) if same else None)

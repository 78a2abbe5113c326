"""Operators that are refused with a reason of their own."""

from __future__ import annotations

from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.table import handles, words


@handles("If", "Loop", "Scan", "SequenceMap")
def _control_flow(node: NodeView) -> None:
    raise node.refuse(
        f"control flow ({node.proto.op_type}) is not supported: hardware runs one fixed graph",
        "export with fixed shapes and torch.onnx.export(..., dynamo=True), or fold constants",
    )


@handles("LSTM", "GRU", "RNN")
def _recurrent(node: NodeView) -> None:
    raise node.refuse(
        f"recurrent layers ({node.proto.op_type}) are not supported yet",
        "use convolutions over time, or unroll the layer before the export",
    )


@handles(
    *words("RandomNormal RandomNormalLike RandomUniform RandomUniformLike Multinomial Bernoulli")
)
def _random(node: NodeView) -> None:
    raise node.refuse(
        f"{node.proto.op_type} draws random numbers; a compiled network gives the same output "
        "for the same input",
        "make the noise an input of the model",
    )


@handles(
    *words("Equal Greater GreaterOrEqual Less LessOrEqual And Or Xor Not Where NonZero IsNaN IsInf")
)
def _logic(node: NodeView) -> None:
    raise node.refuse(
        f"{node.proto.op_type} on values computed at run time is not supported",
        "express it with Clip, Max, Min or Relu",
    )

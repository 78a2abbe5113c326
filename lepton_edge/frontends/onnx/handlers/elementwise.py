"""Elementwise arithmetic, activation functions, batch normalisation, softmax."""

from __future__ import annotations

import math

import numpy as np

from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.table import handles, words
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops.elementwise import (
    Add,
    Clip,
    Div,
    Elu,
    Function,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Maximum,
    Minimum,
    Mul,
    Pow,
    PRelu,
    Relu,
    Sigmoid,
    Softmax,
    Sub,
    Swish,
)
from lepton_edge.ir.ops.pool import Reduce
from lepton_edge.ir.ops.quantized import Quantize
from lepton_edge.ir.ops.shape import Reshape
from lepton_edge.ir.types import QuantType

_FUNCTIONS = {
    "Abs": "abs", "Neg": "neg", "Exp": "exp", "Log": "log", "Sqrt": "sqrt",
    "Reciprocal": "reciprocal", "Tanh": "tanh", "Floor": "floor", "Ceil": "ceil",
    "Round": "round", "Sign": "sign", "Sin": "sin", "Cos": "cos", "Erf": "erf",
    "Softplus": "softplus", "Softsign": "softsign",
}  # fmt: skip

_BINARY: dict[str, type[Op]] = {"Add": Add, "Sub": Sub, "Mul": Mul, "Div": Div, "Pow": Pow}
_VARIADIC: dict[str, type[Op]] = {"Max": Maximum, "Min": Minimum, "Sum": Add, "Mean": Add}


@handles(*_FUNCTIONS)
def _function(node: NodeView) -> None:
    node.result(Function(_FUNCTIONS[node.proto.op_type]), [node.value(0)])


@handles(*_BINARY)
def _binary(node: NodeView) -> None:
    if node.opset < 7 and node.attr_int("broadcast", 0):
        raise node.refuse("the attribute broadcast of operator sets before 7 is not supported")
    node.result(_BINARY[node.proto.op_type](), [node.value(0), node.value(1)])


@handles(*_VARIADIC)
def _variadic(node: NodeView) -> None:
    op = _VARIADIC[node.proto.op_type]()
    count = node.num_inputs
    is_mean = node.proto.op_type == "Mean" and count > 1
    total = node.value(0)
    if count == 1:
        node.define(total)
        return
    for index in range(1, count):
        inputs = [total, node.value(index)]
        if index == count - 1 and not is_mean:
            node.result(op, inputs)
        else:
            total = node.emit(op, inputs, f"part{index}")
    if is_mean:
        node.result(Div(), [total, node.number(count, "count")])


@handles("Relu")
def _relu(node: NodeView) -> None:
    node.result(Relu(), [node.value(0)])


@handles("Sigmoid")
def _sigmoid(node: NodeView) -> None:
    node.result(Sigmoid(), [node.value(0)])


@handles("HardSigmoid")
def _hard_sigmoid(node: NodeView) -> None:
    op = HardSigmoid(node.attr_float("alpha", 0.2), node.attr_float("beta", 0.5))
    node.result(op, [node.value(0)])


@handles("HardSwish")
def _hard_swish(node: NodeView) -> None:
    node.result(HardSwish(), [node.value(0)])


@handles("Swish")
def _swish(node: NodeView) -> None:
    node.result(Swish(node.attr_float("alpha", 1.0)), [node.value(0)])


@handles("LeakyRelu")
def _leaky_relu(node: NodeView) -> None:
    node.result(LeakyRelu(node.attr_float("alpha", 0.01)), [node.value(0)])


@handles("PRelu")
def _prelu(node: NodeView) -> None:
    node.result(PRelu(), [node.value(0), node.value(1)])


@handles("Elu")
def _elu(node: NodeView) -> None:
    node.result(Elu(node.attr_float("alpha", 1.0)), [node.value(0)])


@handles("Selu")
def _selu(node: NodeView) -> None:
    """Gamma * elu(x, alpha). Source: ONNX Selu 6."""
    inner = node.emit(Elu(node.attr_float("alpha", 1.67326319217681884765625)), [node.value(0)])
    gamma = node.number(node.attr_float("gamma", 1.05070102214813232421875), "gamma")
    node.result(Mul(), [inner, gamma], "scale")


@handles("Celu")
def _celu(node: NodeView) -> None:
    """Alpha * elu(x / alpha, 1). Source: ONNX Celu 12."""
    alpha = node.attr_float("alpha", 1.0)
    if alpha <= 0:
        raise node.refuse(f"alpha {alpha} is not positive")
    scaled = node.emit(Div(), [node.value(0), node.number(alpha, "alpha")], "divide")
    inner = node.emit(Elu(1.0), [scaled])
    node.result(Mul(), [inner, node.number(alpha, "alpha")], "scale")


@handles("Gelu", domains=("", "com.microsoft"))
def _gelu(node: NodeView) -> None:
    """X * (1 + erf(x / sqrt 2)) / 2, or its approximation with tanh. Source: ONNX Gelu 20."""
    x = node.value(0)
    kind = node.attr_string("approximate", "none")
    if kind == "none":
        scaled = node.emit(Mul(), [x, node.number(1 / math.sqrt(2), "rsqrt2")], "scaled")
        curve = node.emit(Function("erf"), [scaled], "erf")
    elif kind == "tanh":
        square = node.emit(Mul(), [x, x], "square")
        cube = node.emit(Mul(), [square, x], "cube")
        small = node.emit(Mul(), [cube, node.number(0.044715, "c3")], "small")
        inner = node.emit(Add(), [x, small], "inner")
        scaled = node.emit(Mul(), [inner, node.number(math.sqrt(2 / math.pi), "c")], "scaled")
        curve = node.emit(Function("tanh"), [scaled], "tanh")
    else:
        raise node.refuse(f"approximate {kind!r} is not supported; wanted 'none' or 'tanh'")
    raised = node.emit(Add(), [curve, node.number(1.0, "one")], "raised")
    half = node.emit(Mul(), [raised, node.number(0.5, "half")], "halved")
    node.result(Mul(), [x, half])


@handles("Mish")
def _mish(node: NodeView) -> None:
    """X * tanh(softplus(x)). Source: ONNX Mish 18."""
    x = node.value(0)
    soft = node.emit(Function("softplus"), [x], "softplus")
    node.result(Mul(), [x, node.emit(Function("tanh"), [soft], "tanh")])


@handles("Clip")
def _clip(node: NodeView) -> None:
    if node.opset < 11:
        low, high = node.attr_float("min", -math.inf), node.attr_float("max", math.inf)
    else:
        low, high = _bound(node, 1, -math.inf), _bound(node, 2, math.inf)
    if node.type_at(0).is_quantized:
        _clip_codes(node, low, high)
        return
    node.result(Clip(low, high), [node.value(0)])


def _bound(node: NodeView, index: int, default: float) -> float:
    if not node.has_input(index):
        return default
    array = node.array(index, "min" if index == 1 else "max")
    if array.size != 1 or np.isnan(array.astype(np.float64)).any():
        raise node.wrong(f"the bound has shape {list(array.shape)}; wanted one number")
    return float(array.reshape(()))


def _clip_codes(node: NodeView, low: float, high: float) -> None:
    """Narrow the codes of a QuantizeLinear, as exporters of fewer than 8 bits write them."""
    wide = node.type_at(0).quant
    producer = node.importer.producer(node.value(0))
    fitting = [
        quant
        for bits in range(1, wide.bits + 1)
        for narrow in (False, True)
        if (quant := _narrowed(wide, bits, narrow)) is not None
        and (quant.lowest, quant.highest) == (max(low, wide.lowest), min(high, wide.highest))
    ]
    if producer is None or not isinstance(producer[0], Quantize) or not fitting:
        raise node.refuse(
            f"clips codes of {wide} to {low}..{high}; wanted the range of a bit width, right "
            "after QuantizeLinear",
            "clip the reals before QuantizeLinear instead",
        )
    node.result(Quantize(fitting[0]), [producer[1][0]])


def _narrowed(wide: QuantType, bits: int, narrow: bool) -> QuantType | None:
    if narrow and not wide.signed:
        return None
    quant = QuantType(bits, wide.signed, wide.scale, wide.zero_point, wide.axis, narrow)
    return quant if all(quant.lowest <= z <= quant.highest for z in wide.zero_point) else None


@handles("BatchNormalization")
def _batch_normalization(node: NodeView) -> None:
    """A multiplication and an addition for each channel."""
    if node.attr_int("training_mode", 0) or any(map(node.is_used, range(1, len(node.outputs)))):
        raise node.refuse(
            "batch normalisation in training mode is not supported",
            "export the model in evaluation mode: model.eval()",
        )
    if not node.attr_int("spatial", 1):
        raise node.refuse("spatial=0 is not supported", "use one mean for each channel")
    shape = node.type_at(0).shape
    names = ("scale", "bias", "mean", "variance")
    arrays = [
        node.array(i, f"the {name}").astype(np.float64) for i, name in enumerate(names, start=1)
    ]
    if len(shape) < 2 or any(a.shape != (shape[1],) for a in arrays):
        found = ", ".join(str(list(a.shape)) for a in arrays)
        raise node.wrong(f"parameters of shapes {found} for an input of shape {list(shape)}")
    scale, bias, mean, variance = arrays
    epsilon = node.attr_float("epsilon", 1e-5)
    if not (variance + epsilon > 0).all():
        raise node.wrong("the variance is not positive")
    factor = scale / np.sqrt(variance + epsilon)
    spread = (shape[1], *(1,) * (len(shape) - 2))
    scaled = node.emit(Mul(), [node.value(0), node.number(factor.reshape(spread), "factor")], "mul")
    offset = (bias - mean * factor).reshape(spread)
    node.result(Add(), [scaled, node.number(offset, "offset")])


@handles(
    *words("InstanceNormalization LayerNormalization GroupNormalization LRN"),
    *words("MeanVarianceNormalization RMSNormalization LpNormalization"),
)
def _refused_normalization(node: NodeView) -> None:
    raise node.refuse(
        f"{node.proto.op_type} computes statistics of its input at run time, which is not "
        "supported",
        "use BatchNormalization, which becomes part of the layer before it",
    )


@handles("Softmax")
def _softmax(node: NodeView) -> None:
    shape, axis, flat = _softmax_shape(node)
    if not flat:
        node.result(Softmax(axis), [node.value(0)])
        return
    inner = node.emit(Reshape(flat), [node.value(0)], "flatten")
    node.result(Reshape(shape), [node.emit(Softmax(1), [inner])], "restore")


def _softmax_shape(node: NodeView) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    """Return the input's shape, the axis, and the 2-D shape that versions before 13 flatten to.

    The last is empty where a softmax along the axis is the same.
    """
    shape = node.type_at(0).shape
    axis = node.axis("axis", -1 if node.opset >= 13 else 1, len(shape)) if shape else 0
    if node.opset >= 13 or math.prod(shape[axis + 1 :]) == 1:
        return shape, axis, ()
    return shape, axis, (math.prod(shape[:axis]), math.prod(shape[axis:]))


@handles("LogSoftmax")
def _log_softmax(node: NodeView) -> None:
    """X - max - log(sum(exp(x - max))), which loses no small probabilities."""
    shape, axis, flat = _softmax_shape(node)
    x = node.value(0)
    if flat:
        x, axis = node.emit(Reshape(flat), [x], "flatten"), 1
    top = node.emit(Reduce("max", (axis,), True), [x], "max")
    shifted = node.emit(Sub(), [x, top], "shifted")
    exp = node.emit(Function("exp"), [shifted], "exp")
    total = node.emit(Reduce("sum", (axis,), True), [exp], "sum")
    log = node.emit(Function("log"), [total], "log")
    if flat:
        node.result(Reshape(shape), [node.emit(Sub(), [shifted, log])], "restore")
    else:
        node.result(Sub(), [shifted, log])

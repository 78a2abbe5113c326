"""QuantizeLinear, DequantizeLinear, QONNX quantisers; refusals of integer-domain operators."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lepton_edge.frontends.onnx.node import NodeView
from lepton_edge.frontends.onnx.quantization import INTEGERS, integer_kind, quant_of
from lepton_edge.frontends.onnx.table import handles, words
from lepton_edge.frontends.onnx.values import Static
from lepton_edge.ir.ops.quantized import Dequantize, Quantize
from lepton_edge.ir.types import Array, QuantType

_DOMAINS = ("", "com.microsoft")
_QONNX = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas", "")


def _params(node: NodeView, rank: int, bits: int, signed: bool) -> QuantType:
    if node.attr_int("block_size", 0):
        raise node.refuse("block quantisation is not supported", "quantise per channel")
    scale = node.array(1, "the scale")
    zero = node.array(2, "the zero point") if node.has_input(2) else None
    axis = node.attr_int("axis", 1)
    if scale.size > 1:
        axis = node.normal_axis(axis, rank)
    quant = quant_of(scale, zero, bits, signed, axis, node.where)
    if any(not quant.lowest <= z <= quant.highest for z in quant.zero_point):
        raise node.wrong(f"zero point {quant.zero_point} is not in {quant.lowest}..{quant.highest}")
    return quant


def _check_axis(node: NodeView, quant: QuantType, shape: tuple[int, ...]) -> None:
    if quant.axis is not None and shape[quant.axis] != len(quant.scale):
        raise node.wrong(
            f"has {len(quant.scale)} scales for axis {quant.axis} of the shape {list(shape)}"
        )


@handles("QuantizeLinear", domains=_DOMAINS)
def _quantize_linear(node: NodeView) -> None:
    """Codes of the input; known at once for constants."""
    bits, signed = _code_kind(node)
    x = node.static(0)
    shape = x.shape if x is not None else node.type_at(0).shape
    quant = _params(node, len(shape), bits, signed)
    _check_axis(node, quant, shape)
    if x is None:
        node.result(Quantize(quant), [node.value(0)])
    else:
        node.define_array(quant.quantize(_finite(node, x.real)))


def _code_kind(node: NodeView) -> tuple[int, bool]:
    zero = node.static(2)
    if zero is not None:
        kind = integer_kind(zero.array)
        if kind is None:
            raise node.refuse(
                f"codes of the type {zero.array.dtype} are not supported; wanted integers",
                "quantise to int8 or uint8",
            )
        return kind
    code = node.attr_int("output_dtype", 0)
    if code == 0:
        return 8, False
    if code not in INTEGERS:
        raise node.refuse(f"codes of the ONNX type {code} are not supported", "quantise to int8")
    return INTEGERS[code]


def _finite(node: NodeView, array: Array) -> Array:
    if not np.isfinite(array).all():
        raise node.wrong("quantises a constant that holds NaN or infinity")
    return array


@handles("DequantizeLinear", domains=_DOMAINS)
def _dequantize_linear(node: NodeView) -> None:
    """Codes with their type; a Dequantize is placed where a float is read."""
    x = node.static(0)
    if x is None:
        _dequantize_computed(node)
        return
    kind = integer_kind(x.array)
    if kind is None:
        raise node.refuse(
            f"codes of the type {x.array.dtype} are not supported; wanted integers",
            "quantise to int8 or uint8",
        )
    quant = _params(node, x.array.ndim, *kind)
    _check_axis(node, quant, x.shape)
    codes = x.array.astype(quant.dtype)
    node.define(Static(codes, x.name, quant, source=node.name, key=f"{x.key}\0{node.name}"))


def _dequantize_computed(node: NodeView) -> None:
    type_ = node.type_at(0)
    carried = type_.elem
    if not isinstance(carried, QuantType):
        raise node.refuse(
            f"the input is {type_}, not codes that a QuantizeLinear or a model input gives",
            "export in QDQ format, where each DequantizeLinear reads a QuantizeLinear",
        )
    quant = _params(node, type_.rank, carried.bits, carried.signed)
    if (quant.scale, quant.zero_point) != (carried.scale, carried.zero_point):
        raise node.refuse(
            f"reads codes of {carried} as {quant}: re-interpreting codes is not supported",
            "use the scale and the zero point of the QuantizeLinear that wrote them",
        )
    if quant.axis is not None and quant.axis != (carried.axis or 0) % type_.rank:
        raise node.refuse(f"scales run along axis {quant.axis}, the codes' along {carried.axis}")
    node.result(Dequantize(), [node.value(0)])


@handles("Quant", domains=_QONNX)
def _quant(node: NodeView) -> None:
    """QONNX Quant: Quantize and Dequantize; the codes of constants are computed at once.

    Source: QONNX, operator Quant: clamp(x / scale + zero point), round, and back.
    """
    x = node.static(0)
    shape = x.shape if x is not None else node.type_at(0).shape
    quant = _qonnx_type(node, shape)
    if x is not None:
        codes = _qonnx_codes(_finite(node, x.real), quant)
        node.define(Static(codes, x.name, quant, source=node.name, key=f"{x.key}\0{node.name}"))
        return
    if any(z % 2 for z in quant.zero_point):
        raise node.refuse(
            f"zero point {quant.zero_point[0]} is odd: Quant rounds halves after it adds the zero "
            "point, which for an odd one is not the rounding of QuantizeLinear",
            "use a symmetric quantiser (zero point 0), or export in QDQ format",
        )
    codes_value = node.emit(Quantize(quant), [node.value(0)])
    node.result(Dequantize(), [codes_value], "dequantize")


def _qonnx_type(node: NodeView, shape: tuple[int, ...]) -> QuantType:
    scale = node.array(1, "the scale").astype(np.float32)
    zero = node.array(2, "the zero point")
    bits = node.array(3, "the bit width")
    mode = node.attr_string("rounding_mode", "ROUND").upper()
    signed, narrow = bool(node.attr_int("signed", 1)), bool(node.attr_int("narrow", 0))
    if mode not in ("ROUND", "HALF_EVEN"):
        raise node.refuse(f"rounding_mode {mode!r} is not supported; wanted 'ROUND'")
    if bits.size != 1 or bits.item() not in range(1, 33):  # NaN and infinity are not
        raise node.refuse(f"the bit width is {bits.tolist()}; wanted one whole number in 1..32")
    if narrow and not signed:
        raise node.refuse("unsigned narrow codes are not supported", "set narrow=0")
    if not np.isfinite(zero).all() or (zero != np.rint(zero)).any():
        raise node.refuse(f"zero point {zero.tolist()} is not a whole number")
    axis, flat = _scaled_axis(node, scale, shape)
    zero_axis, zeros = _scaled_axis(node, zero, shape)
    if zero_axis not in (None, axis):
        raise node.refuse("the zero point runs along another axis than the scale")
    quant = quant_of(flat, zeros, int(bits.item()), signed, axis, node.where)
    if any(not quant.lowest <= z <= quant.highest for z in quant.zero_point):
        raise node.refuse(f"zero point {quant.zero_point} is not a code of {quant}")
    if quant.bits == 1 and narrow:
        raise node.refuse("narrow codes of one bit are always zero", "set narrow=0")
    return replace(quant, narrow=narrow)


def _scaled_axis(node: NodeView, params: Array, shape: tuple[int, ...]) -> tuple[int | None, Array]:
    """Return the one axis of ``shape`` that ``params`` vary along, and them in one axis."""
    long = [i for i, size in enumerate(params.shape) if size > 1]
    if not long:
        return None, params.reshape(-1)
    axis = len(shape) - params.ndim + long[0]
    if len(long) > 1 or axis < 0 or shape[axis] != params.size:
        raise node.refuse(
            f"scales of shape {list(params.shape)} for a tensor of shape {list(shape)}; wanted "
            "one scale, or one for each index of one axis",
            "quantise per tensor or per channel",
        )
    return axis, params.reshape(-1)


def _qonnx_codes(real: Array, quant: QuantType) -> Array:
    scale = quant.scale_along(real.ndim).astype(np.float32)
    zero = quant.zero_along(real.ndim).astype(np.float32)
    with np.errstate(over="ignore"):  # infinite quotients saturate like large ones
        shifted = np.asarray(real, np.float32) / scale + zero
    codes: Array = np.rint(np.clip(shifted, quant.lowest, quant.highest)).astype(quant.dtype)
    return codes


@handles("BipolarQuant", domains=_QONNX)
def _bipolar_quant(node: NodeView) -> None:
    """QONNX BipolarQuant: ``scale`` where ``x >= 0``, else ``-scale``."""
    x = node.static(0)
    shape = x.shape if x is not None else node.type_at(0).shape
    axis, scales = _scaled_axis(node, node.array(1, "the scale"), shape)
    sound = quant_of(scales, None, 1, False, axis, node.where)
    quant = QuantType.signs(sound.scale, sound.axis)
    if x is not None:
        codes = quant.quantize(_finite(node, x.real))
        node.define(Static(codes, x.name, quant, source=node.name, key=f"{x.key}\0{node.name}"))
        return
    codes_value = node.emit(Quantize(quant), [node.value(0)])
    node.result(Dequantize(), [codes_value], "dequantize")


@handles(
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "DynamicQuantizeLinear",
)
def _integer_domain(node: NodeView) -> None:
    raise node.refuse(
        f"the integer-domain operator {node.proto.op_type!r} is not supported",
        "export in QDQ format (quant_format=QuantFormat.QDQ)",
    )


@handles(
    *words("QLinearAdd QLinearMul QLinearSigmoid QLinearLeakyRelu QLinearGlobalAveragePool"),
    *words("QLinearAveragePool QLinearConcat QLinearSoftmax QGemm DynamicQuantizeMatMul"),
    domains=("com.microsoft",),
)
def _integer_domain_microsoft(node: NodeView) -> None:
    _integer_domain(node)

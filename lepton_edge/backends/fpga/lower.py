"""Integer graphs to dataflow graphs: one or a few streaming actors a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lepton_edge.backends.fpga.dataflow import Actor, Dataflow
from lepton_edge.backends.fpga.kernels.base import Elem, Kernel
from lepton_edge.backends.fpga.kernels.depthwise import Depthwise
from lepton_edge.backends.fpga.kernels.elementwise import Multiply, ScaledAdd
from lepton_edge.backends.fpga.kernels.matrix_vector import MatrixVector
from lepton_edge.backends.fpga.kernels.plumbing import AxisEnd, Concat, Fork, Slice
from lepton_edge.backends.fpga.kernels.pool import Pool
from lepton_edge.backends.fpga.kernels.products import are_signs, bias_without_zero_point
from lepton_edge.backends.fpga.kernels.requantize import Lookup, Requantize, Threshold
from lepton_edge.backends.fpga.kernels.select import ArgMax, Softmax
from lepton_edge.backends.fpga.kernels.window import Padding, SlidingWindow, Stretch
from lepton_edge.backends.fpga.names import Namespace, identifier, unique_identifiers
from lepton_edge.errors import LeptonError, UnsupportedError
from lepton_edge.ir.graph import Graph, Node
from lepton_edge.ir.op import Op
from lepton_edge.ir.ops import linear, pool, quantized, select, shape
from lepton_edge.ir.ops.quantized import Rounding
from lepton_edge.ir.types import Array, Int, QuantType, TensorType

MAX_SOFTMAX_CHANNELS = 4096


def lower_dataflow(graph: Graph, wide_bits: int = 0) -> Dataflow:
    """Return the dataflow graph of an integer graph, every kernel at its smallest folding.

    Args:
        graph: the FPGA's part of a network; one frame at a time.
        wide_bits: of the wider factor of DSP blocks that several products may share, else 0.

    Raises:
        UnsupportedError: layers that have no kernel, each named with its reason.
    """
    return _Lowering(graph, wide_bits).run()


class _Refused(Exception):  # noqa: N818 - it never leaves this module
    """A layer has no kernel; the message says what about it, and what would help."""


def stream_elem(type_: TensorType) -> Elem:
    """Return the stream's element type for a tensor type."""
    elem = type_.elem
    if isinstance(elem, QuantType):
        return Elem(elem.bits, elem.signed)
    if isinstance(elem, Int):
        return Elem(elem.bits, elem.signed)
    raise _Refused("it works on floats")


class _Lowering:
    def __init__(self, graph: Graph, wide_bits: int) -> None:
        self.graph = graph
        self.wide_bits = wide_bits
        self.ids = unique_identifiers(n.name for n in graph.nodes)
        self.actors: list[Actor] = []
        self.streams: dict[str, str] = {}
        self.elems: dict[str, Elem] = {}
        self.elements: dict[str, int] = {}
        self.names = Namespace()

    def run(self) -> Dataflow:
        ports_in = self._ports("in", self.graph.inputs)
        for value, port in zip(self.graph.inputs, ports_in, strict=True):
            self._axis_in(value, port)
        refusals: list[tuple[Node, str]] = []
        for node in self.graph.nodes:
            if any(
                v in self.graph.types and v not in self.streams and v not in self.graph.constants
                for v in node.inputs
            ):
                continue
            try:
                self._lower(node)
            except _Refused as refusal:
                refusals.append((node, str(refusal)))
        if refusals:
            raise _unsupported(self.graph, refusals)
        ports_out = self._ports("out", self.graph.outputs)
        for value, port in zip(self.graph.outputs, ports_out, strict=True):
            self._axis_out(value, port)
        return Dataflow(
            identifier(self.graph.name.lower()),
            _with_forks(self.actors, self.elems, self.elements, self.names),
            ports_in,
            ports_out,
            {},
        )

    # -- streams --------------------------------------------------------------------------------

    def _ports(self, side: str, values: Sequence[str]) -> tuple[str, ...]:
        if len(values) == 1:
            return (f"{side}put_r",)
        return tuple(f"{identifier(v)}_{side}{i}" for i, v in enumerate(values))

    def _axis_in(self, value: str, port: str) -> None:
        type_ = self._frame(value)
        if type_.is_float:
            raise UnsupportedError(
                f"input {value!r} is a float; an accelerator takes integer codes",
                where=self.graph.name,
                hint="quantise the network first",
            )
        elem = stream_elem(type_)
        lanes = AxisEnd.lanes_for(elem, type_.num_elements)
        self.elems[port], self.elements[port] = elem, type_.num_elements
        self._add(
            f"{port}_reader", AxisEnd(elem, type_.num_elements, lanes, True), [port], port, ()
        )
        self.streams[value] = self.actors[-1].outputs[0]

    def _axis_out(self, value: str, port: str) -> None:
        stream = self.streams[value]
        elem, elements = self.elems[stream], self.elements[stream]
        lanes = AxisEnd.lanes_for(elem, elements)
        kernel = AxisEnd(elem, elements, lanes, False)
        name = self.names.take(f"{port}_writer")
        self.actors.append(Actor(name, kernel, (stream,), (port,), port, ()))

    def _frame(self, value: str) -> TensorType:
        type_ = self.graph.types[value]
        if type_.shape[:1] != (1,):
            raise UnsupportedError(
                f"value {value!r} has shape {list(type_.shape)}; an accelerator takes one frame "
                "at a time",
                where=self.graph.name,
                hint="export the model with batch size 1 (or a dynamic batch)",
            )
        return type_

    def _add(
        self, name: str, kernel: Kernel, inputs: Sequence[str], layer: str, sources: Sequence[str]
    ) -> str:
        """Append an actor with one output stream, and return that."""
        unique = self.names.take(name)
        stream = f"{unique}_out"
        (port,) = kernel.outputs
        self.elems[stream], self.elements[stream] = port.elem, port.elements
        self.actors.append(Actor(unique, kernel, tuple(inputs), (stream,), layer, tuple(sources)))
        return stream

    def _actor(self, node: Node, kernel: Kernel, inputs: Sequence[str], suffix: str = "") -> str:
        name = self.ids[node.name] + (f"_{suffix}" if suffix else "")
        return self._add(name, kernel, inputs, node.name, node.sources)

    def _set(self, node: Node, stream: str) -> None:
        self.streams[node.output] = stream

    # -- layers ---------------------------------------------------------------------------------

    def _lower(self, node: Node) -> None:
        for value in node.outputs:
            self._frame(value)
        op = node.op
        match op:
            case linear.Conv():
                self._conv(node, op)
            case linear.Dense():
                self._dense(node)
            case pool.MaxPool() | pool.SumPool():
                self._pool(node, op)
            case quantized.Requantize():
                self._requantize(node, op)
            case quantized.Threshold():
                self._threshold(node, op)
            case quantized.Lookup():
                self._lookup(node)
            case quantized.ScaledAdd():
                self._scaled_add(node, op)
            case quantized.Product():
                self._product(node)
            case quantized.SoftmaxCodes():
                self._softmax(node, op)
            case select.ArgMax():
                self._argmax(node, op)
            case _:
                self._rearrange(node, op)

    def _rearrange(self, node: Node, op: Op) -> None:
        """Lower an op that computes nothing."""
        match op:
            case shape.Concat():
                self._concat(node, op)
            case shape.Slice():
                self._slice(node, op)
            case shape.Pad():
                self._pad(node, op)
            case shape.RepeatNearest() | shape.InsertZeros():
                self._stretch(node, op)
            case shape.Reshape():
                self.streams[node.output] = self.streams[node.inputs[0]]
            case shape.Transpose():
                raise _Refused(
                    f"a transpose {op.perm} in the middle of the network cannot be streamed; "
                    "keep the channels in one place between layers"
                )
            case _:
                raise _Refused(f"there is no kernel for {op.name}")

    def _x(self, node: Node, index: int = 0) -> tuple[str, Elem, TensorType]:
        value = node.inputs[index]
        if value in self.graph.constants:
            raise _Refused(f"its input {value!r} is a constant; a stream is wanted there")
        stream = self.streams[value]
        return stream, self.elems[stream], self.graph.types[value]

    def _param(self, node: Node, index: int) -> Array:
        return self.graph.constants[node.inputs[index]].astype(np.int64)

    def _acc(self, node: Node) -> Elem:
        return stream_elem(self.graph.types[node.output])

    def _centred(self, node: Node, index: int = 0) -> tuple[str, Elem, int]:
        """Return an input stream, its elements, and which of them stands for 0.

        Signs become the numbers -1 and +1.
        """
        stream, elem, x = self._x(node, index)
        if not x.quant.bipolar:
            return stream, elem, x.quant.zero_point[0]
        numbers = Elem(2)
        kernel = Requantize(
            elem, numbers, self.elements[stream], 1, 1, np.array([2]), np.array([-1]), 0, -1, 1,
            Rounding.FLOOR,
        )  # fmt: skip
        return self._actor(node, kernel, [stream], f"signs{index}"), numbers, 0

    def _layer_input(self, node: Node, weights: Array) -> tuple[str, Elem, int, bool]:
        """Return what ``_centred`` does, or signs as they are where the weights are signs too."""
        stream, elem, x = self._x(node)
        if x.quant.bipolar and are_signs(weights):
            return stream, elem, 0, True
        return *self._centred(node), False

    def _padded(
        self,
        node: Node,
        stream: str,
        elem: Elem,
        size: tuple[int, int, int],
        pads: tuple[int, int, int, int],
        value: int,
    ) -> tuple[str, tuple[int, int, int]]:
        if not any(pads):
            return stream, size
        kernel = Padding(elem, *size, pads=pads, value=value)
        out = (*kernel.out_size, size[2])
        return self._actor(node, kernel, [stream], "pad"), out

    def _windows(
        self,
        node: Node,
        stream: str,
        elem: Elem,
        size: tuple[int, int, int],
        op: linear.Conv | pool.Window,
        kernel: tuple[int, int],
        is_channelwise: bool,
    ) -> tuple[str, int]:
        """Emit the line buffer where there is one; return its stream and the number of windows."""
        window = _window(elem, size, kernel, op, is_channelwise)
        pixels = window.out_size[0] * window.out_size[1]
        if kernel == (1, 1) and op.strides == (1, 1):
            return stream, pixels
        return self._actor(node, window, [stream], "window"), pixels

    def _conv(self, node: Node, op: linear.Conv) -> None:
        x = self.graph.types[node.inputs[0]]
        weights = self._param(node, 1)
        bias = self._param(node, 2) if len(node.inputs) == 3 else None
        channels = x.shape[3]
        out_channels, kh, kw, _ = weights.shape
        is_depthwise = op.groups == channels == out_channels and op.groups > 1
        if op.groups > 1 and not is_depthwise:
            weights = _block_diagonal(weights, op.groups)
        signs = np.zeros(0, np.int64) if is_depthwise else weights
        stream, elem, zero, is_bipolar = self._layer_input(node, signs)
        size = (x.shape[1], x.shape[2], channels)
        stream, size = self._padded(node, stream, elem, size, op.pads, zero)
        stream, pixels = self._windows(node, stream, elem, size, op, (kh, kw), is_depthwise)
        start = bias_without_zero_point(weights, bias, zero)
        rows = weights.reshape(out_channels, -1)
        acc = _sum_elem(self._acc(node), start)
        kernel: Kernel
        if is_depthwise:
            kernel = Depthwise(elem, acc, rows, start, pixels)
        else:
            kernel = MatrixVector(
                elem, acc, rows, start, pixels, x_is_bipolar=is_bipolar,
                x_is_narrow=_is_narrow(x.quant, is_bipolar), wide_bits=self.wide_bits,
            )  # fmt: skip
        self._set(node, self._actor(node, kernel, [stream]))

    def _dense(self, node: Node) -> None:
        x = self.graph.types[node.inputs[0]]
        weights = self._param(node, 1)
        bias = self._param(node, 2) if len(node.inputs) == 3 else None
        stream, elem, zero, is_bipolar = self._layer_input(node, weights)
        start = bias_without_zero_point(weights, bias, zero)
        vectors = math.prod(x.shape[:-1])
        acc = _sum_elem(self._acc(node), start)
        kernel = MatrixVector(
            elem, acc, weights, start, vectors, x_is_bipolar=is_bipolar,
            x_is_narrow=_is_narrow(x.quant, is_bipolar), wide_bits=self.wide_bits,
        )  # fmt: skip
        self._set(node, self._actor(node, kernel, [stream]))

    def _pool(self, node: Node, op: pool.MaxPool | pool.SumPool) -> None:
        x = self.graph.types[node.inputs[0]]
        is_max = isinstance(op, pool.MaxPool)
        stream, elem, zero = (*self._x(node)[:2], 0) if is_max else self._centred(node)
        size = (x.shape[1], x.shape[2], x.shape[3])
        border = x.quant.lowest if is_max else zero
        stream, size = self._padded(node, stream, elem, size, op.pads, border)
        taps = op.kernel[0] * op.kernel[1]
        acc = elem if is_max else self._acc(node)
        offset = 0 if is_max else -taps * zero
        if not is_max:
            acc = _sum_elem(acc, np.array([offset]))
        is_global = op.kernel == size[:2]
        pixels = 1
        if not is_global:
            stream, pixels = self._windows(node, stream, elem, size, op, op.kernel, True)
        kernel = Pool(elem, acc, size[2], taps, pixels, is_max, is_global, offset)
        self._set(node, self._actor(node, kernel, [stream]))

    def _map_shape(self, node: Node) -> tuple[int, int]:
        """Pixels and channels of the value that a per-channel kernel maps."""
        type_ = self.graph.types[node.output]
        return math.prod(type_.shape[:-1]), type_.shape[-1]

    def _requantize(self, node: Node, op: quantized.Requantize) -> None:
        stream, elem, _ = self._x(node)
        pixels, channels = self._map_shape(node)
        kernel = Requantize(
            elem, self._acc(node), pixels, channels, 1,
            self._param(node, 1), self._param(node, 2), op.shift, op.lowest, op.highest,
            op.rounding,
        )  # fmt: skip
        self._set(node, self._actor(node, kernel, [stream]))

    def _threshold(self, node: Node, op: quantized.Threshold) -> None:
        stream, elem, _ = self._x(node)
        pixels, channels = self._map_shape(node)
        thresholds, sign = self._param(node, 1), self._param(node, 2)
        if (sign < 0).any() and self._negate_rows(node, stream, sign):
            elem, sign = self.elems[stream], np.ones(1, np.int64)
        if (sign < 0).any() or int(thresholds.max()) > elem.highest:
            # Room for the other sign, and for thresholds that are never reached.
            wider = Elem(elem.bits + (1 if elem.signed else 2))
            stream, elem = self._scaled(node, stream, elem, wider, sign, "sign"), wider
        thresholds = thresholds.clip(elem.lowest, elem.highest)  # beyond: always, or never, reached
        kernel = Threshold(elem, self._acc(node), pixels, channels, 1, thresholds, op.lowest)
        self._set(node, self._actor(node, kernel, [stream]))

    def _negate_rows(self, node: Node, stream: str, sign: Array) -> bool:
        """Let the layer that writes ``stream`` sum with the signs that ``node`` wants.

        Returns whether it could: a layer of weights that stay as narrow, read by ``node`` only.
        """
        if (
            self.graph.only_consumer(node.inputs[0]) is not node
            or list(self.streams.values()).count(stream) > 1
        ):
            return False
        index = next(i for i, actor in enumerate(self.actors) if stream in actor.outputs)
        kernel = self.actors[index].kernel
        if not isinstance(kernel, MatrixVector | Depthwise):
            return False
        weights = kernel.weights * sign[:, np.newaxis]
        if Elem.for_values(weights).bits > Elem.for_values(kernel.weights).bits:
            return False
        # The sums of the other sign, and their starts, may need a bit more.
        bias = kernel.bias * sign
        peak = np.abs(weights).sum(axis=1) * max(-kernel.x.lowest, kernel.x.highest) + np.abs(bias)
        acc = kernel.acc if int(peak.max()) <= kernel.acc.highest else Elem(kernel.acc.bits + 1)
        negated = replace(kernel, weights=weights, bias=bias, acc=acc)
        self.actors[index] = replace(self.actors[index], kernel=negated)
        self.elems[stream] = acc
        return True

    def _scaled(
        self, node: Node, stream: str, elem: Elem, to: Elem, factors: Array, suffix: str
    ) -> str:
        """Emit an exact multiplication by small factors [C] or [1] into a wider type."""
        elements = self.elements[stream]
        channels = self.graph.types[node.output].shape[-1] if len(factors) > 1 else elements
        kernel = Requantize(
            elem, to, elements // channels, channels, 1, factors, np.zeros_like(factors), 0,
            to.lowest, to.highest, Rounding.FLOOR,
        )  # fmt: skip
        return self._actor(node, kernel, [stream], suffix)

    def _lookup(self, node: Node) -> None:
        stream, elem, x = self._x(node)
        pixels, channels = self._map_shape(node)
        kernel = Lookup(
            elem, self._acc(node), pixels, channels, 1, self._param(node, 1), x.quant.lowest
        )
        self._set(node, self._actor(node, kernel, [stream]))

    def _scaled_add(self, node: Node, op: quantized.ScaledAdd) -> None:
        (a, elem_a, zero_a), (b, elem_b, zero_b) = (self._centred(node, i) for i in (0, 1))
        pixels, channels = self._map_shape(node)
        offset = -op.scale_a * zero_a - op.scale_b * zero_b
        out = self._acc(node)
        # The kernel adds raw codes: each product, and the offset, must fit as well as the sum.
        peak = abs(op.scale_a) << elem_a.bits, abs(op.scale_b) << elem_b.bits
        bits = (peak[0] + peak[1] + abs(offset)).bit_length() + 1
        out = Elem(max(out.bits, bits))
        kernel = ScaledAdd(elem_a, elem_b, out, pixels, channels, 1, op.scale_a, op.scale_b, offset)
        self._set(node, self._actor(node, kernel, [a, b]))

    def _product(self, node: Node) -> None:
        (a, elem_a, zero_a), (b, elem_b, zero_b) = (self._centred(node, i) for i in (0, 1))
        type_a, type_b = (self.graph.types[v] for v in node.inputs)
        pixels, channels = self._map_shape(node)
        kernel = Multiply(
            elem_a, elem_b, self._acc(node), pixels, channels, 1,
            zero_a, zero_b, type_b.shape != type_a.shape,
        )  # fmt: skip
        self._set(node, self._actor(node, kernel, [a, b]))

    def _softmax(self, node: Node, op: quantized.SoftmaxCodes) -> None:
        stream, elem, _ = self._x(node)
        pixels, channels = self._map_shape(node)
        if channels > MAX_SOFTMAX_CHANNELS:
            raise _Refused(f"a softmax over {channels} channels; at most {MAX_SOFTMAX_CHANNELS}")
        kernel = Softmax(
            elem, self._acc(node), channels, pixels, self._param(node, 1),
            (op.numerator, op.denominator), op.out.zero_point[0], (op.out.lowest, op.out.highest),
        )  # fmt: skip
        self._set(node, self._actor(node, kernel, [stream]))

    def _argmax(self, node: Node, op: select.ArgMax) -> None:
        stream, elem, x = self._x(node)
        if op.axis != x.rank - 1:
            raise _Refused(
                f"an arg max over axis {op.axis}; only the channels (the last axis) stream"
            )
        kernel = ArgMax(elem, x.shape[-1], math.prod(x.shape[:-1]))
        self._set(node, self._actor(node, kernel, [stream]))

    def _concat(self, node: Node, op: shape.Concat) -> None:
        parts = [self._x(node, index) for index in range(len(node.inputs))]
        elem = _common_elem([elem for _, elem, _ in parts])
        one = np.ones(1, np.int64)
        streams = [
            stream if own == elem else self._scaled(node, stream, own, elem, one, f"widen{index}")
            for index, (stream, own, _) in enumerate(parts)
        ]
        stream, first = streams[0], parts[0][2]
        blocks = math.prod(first.shape[: op.axis])
        size = first.num_elements // blocks
        for index in range(1, len(node.inputs)):
            other, type_ = streams[index], parts[index][2]
            block = type_.num_elements // blocks
            suffix = "" if index == len(node.inputs) - 1 else f"part{index}"
            stream = self._actor(node, Concat(elem, blocks, size, block), [stream, other], suffix)
            size += block
        self._set(node, stream)

    def _slice(self, node: Node, op: shape.Slice) -> None:
        stream, elem, x = self._x(node)
        if op.step != 1:
            raise _Refused(f"a slice with step {op.step}; only step 1 streams")
        inner = math.prod(x.shape[op.axis + 1 :])
        blocks = math.prod(x.shape[: op.axis])
        kernel = Slice(elem, blocks, x.shape[op.axis] * inner, op.begin * inner, op.end * inner)
        self._set(node, self._actor(node, kernel, [stream]))

    def _pad(self, node: Node, op: shape.Pad) -> None:
        stream, elem, x = self._x(node)
        if x.rank != 4 or any((op.before[3], op.after[3])):
            raise _Refused("only height and width can be padded in a stream")
        pads = (op.before[1], op.before[2], op.after[1], op.after[2])
        kernel = Padding(elem, x.shape[1], x.shape[2], x.shape[3], pads=pads, value=int(op.fill(x)))
        self._set(node, self._actor(node, kernel, [stream]))

    def _stretch(self, node: Node, op: shape.RepeatNearest | shape.InsertZeros) -> None:
        stream, elem, x = self._x(node)
        fill = x.quant.zero_point[0] if isinstance(op, shape.InsertZeros) else None
        kernel = Stretch(elem, x.shape[1], x.shape[2], x.shape[3], factors=op.factors, fill=fill)
        self._set(node, self._actor(node, kernel, [stream]))


def _common_elem(elems: Sequence[Elem]) -> Elem:
    """Return the narrowest type that holds the values of all ``elems``."""
    if len(set(elems)) == 1:
        return elems[0]
    signed = any(elem.signed for elem in elems)
    return Elem(max(elem.bits + (signed and not elem.signed) for elem in elems), signed)


def _window(
    elem: Elem,
    size: tuple[int, int, int],
    kernel: tuple[int, int],
    op: linear.Conv | pool.Window,
    is_channelwise: bool,
) -> SlidingWindow:
    """Return the sliding window of a layer; strides beyond the frame are cut to just beyond it."""
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, op.dilations, strict=True)]
    strides = [min(s, n - span + 1) for s, n, span in zip(op.strides, size, spans, strict=False)]
    return SlidingWindow(
        elem,
        *size,
        kernel=kernel,
        strides=(strides[0], strides[1]),
        dilations=op.dilations,
        is_channelwise=is_channelwise,
    )


def _is_narrow(quant: QuantType, is_bipolar: bool) -> bool:
    """Whether the lowest code of the stream does not occur; signs as numbers are -1 and +1."""
    return quant.narrow or (quant.bipolar and not is_bipolar)


def _sum_elem(acc: Elem, start: Array) -> Elem:
    """Return the accumulator's type, wide enough for the start values as well.

    Sums of raw codes pass through values that the final sum never has; two's complement makes
    them come out right. Only constants written into tables must fit by themselves.
    """
    needed = Elem.for_values(np.concatenate([start.reshape(-1), np.zeros(1, np.int64)]))
    return Elem(max(acc.bits, needed.bits))


def _block_diagonal(weights: Array, groups: int) -> Array:
    """Return grouped weights [O,KH,KW,C/groups] as full ones [O,KH,KW,C], zero elsewhere."""
    out_channels, kh, kw, inner = weights.shape
    full = np.zeros((out_channels, kh, kw, inner * groups), np.int64)
    rows = out_channels // groups
    for g in range(groups):
        full[g * rows : (g + 1) * rows, :, :, g * inner : (g + 1) * inner] = weights[
            g * rows : (g + 1) * rows
        ]
    return full


def _with_forks(
    actors: Sequence[Actor], elems: dict[str, Elem], elements: dict[str, int], names: Namespace
) -> tuple[Actor, ...]:
    """Return the actors with a fork behind each stream that is read more than once."""
    readers: dict[str, list[tuple[int, int]]] = {}
    for i, actor in enumerate(actors):
        for j, stream in enumerate(actor.inputs):
            readers.setdefault(stream, []).append((i, j))
    renamed: dict[tuple[int, int], str] = {}
    forks: dict[str, list[Actor]] = {}
    for stream, uses in readers.items():
        source = stream
        for use in uses[:-1]:
            name = names.take(f"{stream.removesuffix('_out')}_fork")
            copies = (f"{name}_a", f"{name}_b")
            kernel = Fork(elems[stream], elements[stream])
            writer = next((a for a in actors if stream in a.outputs), None)
            layer = writer.layer if writer else stream
            forks.setdefault(stream, []).append(Actor(name, kernel, (source,), copies, layer))
            renamed[use], source = copies[0], copies[1]
        renamed[uses[-1]] = source
    result: list[Actor] = []
    for i, actor in enumerate(actors):
        inputs = tuple(renamed.get((i, j), s) for j, s in enumerate(actor.inputs))
        result.append(replace(actor, inputs=inputs))
        for stream in actor.outputs:
            result.extend(forks.get(stream, []))
    return tuple(result)


def _unsupported(graph: Graph, refusals: Sequence[tuple[Node, str]]) -> LeptonError:
    lines = "; ".join(f"layer {n.name!r} ({n.op.name}): {reason}" for n, reason in refusals[:8])
    more = f" (and {len(refusals) - 8} more)" if len(refusals) > 8 else ""
    return UnsupportedError(
        f"the FPGA backend has no kernel for {lines}{more}",
        where=graph.name,
        hint="replace the layer in the model, or cut the network before it",
    )

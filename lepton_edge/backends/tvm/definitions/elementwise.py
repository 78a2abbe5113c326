"""Functions of single elements of floats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm.script import tirx as T

from lepton_edge.backends.tvm.site import Site, defines
from lepton_edge.backends.tvm.tir import Expr, Memory, constant, spread
from lepton_edge.backends.tvm.views import View
from lepton_edge.errors import UnsupportedError
from lepton_edge.ir.ops import elementwise as ew

Function = Callable[[Expr, int], Expr]
"""A function of a vector of so many lanes."""


def mapped(site: Site, function: Function, lanes: int | None = None) -> tuple[View, ...]:
    """Return a function of each element, of so many lanes at most."""
    x = site.view()

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        return function(T.Bind(x.at(memory, index, lanes)), lanes)

    return (View(site.sig.outputs[0], at, lanes or x.lanes),)


def f32(value: float, lanes: int) -> Expr:
    """Return a binary32 constant."""
    return constant(value, "float32", lanes)


def sigmoid(x: Expr, lanes: int) -> Expr:
    """Return 1 / (1 + exp(-x)), whose exponential never overflows."""
    small = T.Bind(T.exp(T.Min(x, -x)))
    top = T.Select(x >= f32(0, lanes), f32(1, lanes), small)
    return top / (f32(1, lanes) + small)


@defines(ew.Relu)
def relu(site: Site) -> tuple[View, ...]:
    """See the op."""
    return mapped(site, lambda x, n: T.Max(x, f32(0, n)))


@defines(ew.Clip)
def clip(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: ew.Clip = site.op
    return mapped(site, lambda x, n: T.Min(T.Max(x, f32(op.lowest, n)), f32(op.highest, n)))


@defines(ew.LeakyRelu)
def leaky_relu(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: ew.LeakyRelu = site.op
    return mapped(site, lambda x, n: T.Select(x >= f32(0, n), x, f32(op.slope, n) * x))


@defines(ew.Sigmoid)
def define_sigmoid(site: Site) -> tuple[View, ...]:
    """See the op."""
    return mapped(site, sigmoid)


@defines(ew.HardSigmoid)
def hard_sigmoid(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: ew.HardSigmoid = site.op
    return mapped(
        site,
        lambda x, n: T.Min(T.Max(f32(op.slope, n) * x + f32(op.offset, n), f32(0, n)), f32(1, n)),
    )


@defines(ew.HardSwish)
def hard_swish(site: Site) -> tuple[View, ...]:
    """See the op."""
    return mapped(
        site,
        lambda x, n: x * T.Min(T.Max(x / f32(6, n) + f32(0.5, n), f32(0, n)), f32(1, n)),
    )


@defines(ew.Swish)
def swish(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: ew.Swish = site.op
    return mapped(site, lambda x, n: x * sigmoid(T.Bind(f32(op.scale, n) * x), n))


@defines(ew.Elu)
def elu(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: ew.Elu = site.op

    def function(x: Expr, n: int) -> Expr:
        below = f32(op.alpha, n) * (T.exp(T.Min(x, f32(0, n))) - f32(1, n))
        return T.Select(x >= f32(0, n), x, below)

    return mapped(site, function)


def _sign(x: Expr, n: int) -> Expr:
    below = T.Select(x < f32(0, n), f32(-1, n), x)  # zeros and NaN stay what they are
    return T.Select(x > f32(0, n), f32(1, n), below)


FUNCTIONS: dict[str, Function] = {
    "abs": lambda x, n: T.Max(x, -x),
    "neg": lambda x, n: -x,
    "exp": lambda x, n: T.exp(x),
    "log": lambda x, n: T.log(x),
    "sqrt": lambda x, n: T.sqrt(x),
    "reciprocal": lambda x, n: f32(1, n) / x,
    "tanh": lambda x, n: T.tanh(x),
    "floor": lambda x, n: T.floor(x),
    "ceil": lambda x, n: T.ceil(x),
    "round": lambda x, n: T.nearbyint(x),
    "sign": _sign,
    "sin": lambda x, n: T.sin(x),
    "cos": lambda x, n: T.cos(x),
    "erf": lambda x, n: T.call_pure_extern("float32", "erff", x),  # C's own
    "softplus": lambda x, n: T.Max(x, f32(0, n)) + T.log(f32(1, n) + T.exp(T.Min(x, -x))),
    "softsign": lambda x, n: x / (f32(1, n) + T.Max(x, -x)),
}
"""The functions of ``ir.ops.elementwise.FUNCTIONS``."""


@defines(ew.Function)
def function(site: Site) -> tuple[View, ...]:
    """See the op."""
    op: ew.Function = site.op
    if op.kind not in FUNCTIONS:
        raise UnsupportedError(f"the function {op.kind!r} has no form for processors")
    return mapped(site, FUNCTIONS[op.kind], 1 if op.kind == "erf" else None)


# -- two operands ---------------------------------------------------------------------------------


def broadcast(view: View, memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
    """Return the elements of a view of fewer or smaller axes, by numpy's rules."""
    own = [
        0 if extent == 1 else i
        for i, extent in zip(index[len(index) - len(view.shape) :], view.shape, strict=True)
    ]
    if lanes > 1 and (not view.shape or view.shape[-1] == 1):
        return spread(view.at(memory, own, 1), lanes)
    return view.at(memory, own, lanes)


def joined(
    site: Site, combine: Callable[[Expr, Expr, int], Expr], lanes: int | None = None
) -> tuple[View, ...]:
    """Return a function of two broadcast operands."""
    a, b = site.view(0), site.view(1)

    def at(memory: Memory, index: Sequence[Expr], lanes: int) -> Expr:
        left, right = (T.Bind(broadcast(v, memory, index, lanes)) for v in (a, b))
        return combine(left, right, lanes)

    return (View(site.sig.outputs[0], at, lanes or min(a.lanes, b.lanes)),)


BINARY: dict[type[ew.Binary], Callable[[Expr, Expr, int], Expr]] = {
    ew.Add: lambda a, b, n: a + b,
    ew.Sub: lambda a, b, n: a - b,
    ew.Mul: lambda a, b, n: a * b,
    ew.Div: lambda a, b, n: a / b,
    ew.Maximum: lambda a, b, n: T.Max(a, b),
    ew.Minimum: lambda a, b, n: T.Min(a, b),
    ew.Pow: lambda a, b, n: T.pow(a, b),
}


@defines(*BINARY)
def binary(site: Site) -> tuple[View, ...]:
    """See the ops."""
    return joined(site, BINARY[type(site.op)], 1 if isinstance(site.op, ew.Pow) else None)


@defines(ew.PRelu)
def prelu(site: Site) -> tuple[View, ...]:
    """See the op."""
    return joined(site, lambda x, slope, n: T.Select(x >= f32(0, n), x, x * slope))

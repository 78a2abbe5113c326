"""The matrix-vector unit: dense layers, and convolutions behind a sliding window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from lepton_edge.backends.boards import Resources
from lepton_edge.backends.fpga.kernels.base import (
    Call,
    Elem,
    Kernel,
    Module,
    Port,
    Table,
    as_frames,
    divisors,
    flat,
    grouped,
)
from lepton_edge.backends.fpga.kernels.costs import counter_bits, tree_bits
from lepton_edge.backends.fpga.kernels.memories import (
    MemoryStyle,
    block_ram,
    block_rom,
    is_in_blocks,
    memory_styles,
    ram_luts,
    rom_luts,
)
from lepton_edge.backends.fpga.kernels.packing import (
    MAX_CHAIN,
    Packing,
    borrowed,
    packings,
)
from lepton_edge.backends.fpga.kernels.products import (
    LUT_INPUTS,
    are_signs,
    arithmetics,
    count_latency,
    cpp_bool,
    dot_latency,
    lut_multiplier_bits,
    multiplier_rows,
    negations_latency,
    product_parameters,
    weight_memories,
)
from lepton_edge.backends.fpga.kernels.steps import Steps
from lepton_edge.errors import RangeError
from lepton_edge.ir.ops.linear import exact_matmul
from lepton_edge.ir.types import Array, bits_for_range


@dataclass(frozen=True, eq=False)
class MatrixVector(Kernel):
    """``y = W x + bias`` for each of ``vectors`` input vectors a frame.

    Weights that are all -1 or +1 are kept as the bits 0 and 1. With them, a product is x or its
    complement, or whether two signs are equal; see ``start``.

    Args:
        x: input elements.
        acc: accumulator elements.
        weights: int64 [rows, columns].
        bias: int64 [rows], zero points of the input folded in.
        vectors: input vectors a frame.
        pe: rows computed at once; divides the rows.
        simd: columns multiplied at once; divides the columns.
        is_dsp: multiply in DSP blocks, else in LUTs; signs are never multiplied.
        style: where the weights are kept.
        x_is_bipolar: the input codes 0 and 1 stand for -1 and +1; only where weights are signs.
        x_is_narrow: the lowest input code does not occur.
        fields: rows that share a DSP block; 1, or one of ``packings``, and divides ``pe``.
        wide_bits: of the wider factor of the board's DSP blocks; 0 where no rows can share one.
    """

    kind: ClassVar[str] = "matrix_vector"
    x: Elem
    acc: Elem
    weights: Array
    bias: Array
    vectors: int
    pe: int = 1
    simd: int = 1
    is_dsp: bool = True
    style: MemoryStyle = "auto"
    x_is_bipolar: bool = False
    x_is_narrow: bool = False
    fields: int = 1
    wide_bits: int = 0

    def __post_init__(self) -> None:
        if self.x_is_bipolar and (self.x != Elem(1, False) or not self.has_signs):
            raise RangeError("signs of inputs take one bit, and weights that are signs")

    @property
    def rows(self) -> int:
        """Outputs of a vector."""
        return int(self.weights.shape[0])

    @property
    def columns(self) -> int:
        """Inputs of a vector."""
        return int(self.weights.shape[1])

    @cached_property
    def weight_elem(self) -> Elem:
        """The type of a weight as it is kept: a bit where all weights are signs."""
        return Elem(1, False) if are_signs(self.weights) else Elem.for_values(self.weights)

    @property
    def has_signs(self) -> bool:
        """Whether all weights are -1 or +1."""
        return not self.weight_elem.signed

    @cached_property
    def product_bits(self) -> int:
        """Bits that hold every product that occurs."""
        ends = (self.x.lowest + self.x_is_narrow, self.x.highest)
        corners = np.multiply.outer(ends, (int(self.weights.min()), int(self.weights.max())))
        return bits_for_range(int(corners.min()), int(corners.max()))

    @property
    def start(self) -> Array:
        """Where sums start: the bias, and what products with signs leave out, int64 [rows].

        ``w x`` is ``x`` or ``~x + 1``, and the ones belong to the weights; for signs in one bit
        it is ``2 (w == x) - 1``. Wrapped to the accumulator's type, as the sums themselves are.
        """
        if not self.has_signs:
            return self.bias
        ones = -self.columns if self.x_is_bipolar else (self.weights < 0).sum(axis=1)
        half = 1 << (self.acc.bits - 1)
        return np.asarray((self.bias + ones + half) % (2 * half) - half)

    @cached_property
    def packings(self) -> dict[int, Packing]:
        """The ways in which rows can share DSP blocks, by how many do; signs need none."""
        if self.has_signs:
            return {}
        return packings(self.x, self.weights, self.wide_bits)

    @property
    def packing(self) -> Packing | None:
        """The way in which rows share DSP blocks; None where they do not."""
        return self.packings[self.fields] if self.fields > 1 else None

    @property
    def inputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.x, self.vectors * self.columns, self.simd),)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """See Kernel."""
        return (Port(self.acc, self.vectors * self.rows, self.pe),)

    @property
    def folding(self) -> dict[str, int]:
        """See Kernel."""
        is_dsp = self.is_dsp and not self.has_signs
        arithmetic = {"dsp": is_dsp * self.fields, "bram": int(self.style == "block")}
        return {"pe": self.pe, "simd": self.simd, **arithmetic}

    def foldings(self) -> Iterator[Kernel]:
        """See Kernel."""
        for pe in divisors(self.rows):
            for simd in divisors(self.columns):
                folds = (self.rows // pe) * (self.columns // simd)
                for style in memory_styles(pe * simd * self.weight_elem.bits, folds):
                    for is_dsp in self._arithmetics:
                        yield self._folded(pe=pe, simd=simd, style=style, is_dsp=is_dsp)
                    for fields in self.packings:
                        if pe % fields == 0:
                            yield self._folded(pe=pe, simd=simd, style=style, fields=fields)

    def _folded(self, **folding: Any) -> MatrixVector:
        """Return another folding, which has the same weights and so the same types of them."""
        kernel = replace(self, **{"is_dsp": True, "fields": 1, **folding})
        same = ("weight_elem", "product_bits", "packings")
        kernel.__dict__.update({name: getattr(self, name) for name in same})
        return kernel

    @property
    def stored_elem(self) -> Elem:
        """The type of a weight as it is stored."""
        return self.packing.weight if self.packing else self.weight_elem

    @property
    def cycles(self) -> int:
        """See Kernel. Source: rows/PE x columns/SIMD x vectors, as in FINN's MVAU."""
        return self.vectors * (self.rows // self.pe) * (self.columns // self.simd)

    @property
    def latency(self) -> int:
        """See Kernel."""
        first = 4 if self.columns == self.simd else 5
        if self.x_is_bipolar:
            return first + count_latency(self.simd)
        if self.has_signs:
            return first + negations_latency(self.simd)
        if self.packing:
            chains, chain = self._chains
            return first + chain + 1 + (chains - 1).bit_length()
        return first + dot_latency(self.x, self.weight_elem, self.simd, self.is_dsp)

    @property
    def _chains(self) -> tuple[int, int]:
        """How many chains of DSP blocks add up a row's products, and how long they are."""
        if self.packing:
            return self.packing.chains(self.simd)
        chain = min(self.simd, MAX_CHAIN)
        return -(-self.simd // chain), chain

    @property
    def steps(self) -> Steps:
        """See Kernel: the first rows take the vector, the others see it again."""
        reads, groups = self.columns // self.simd, self.rows // self.pe
        vectors = np.arange(self.vectors)[:, None] * reads * groups
        return Steps.of(
            self.cycles,
            (vectors + np.arange(reads)).ravel(),
            (vectors + np.arange(1, groups + 1) * reads - 1).ravel(),
        )

    @property
    def uses_dsp(self) -> bool:
        """Whether synthesis puts the products into DSP blocks."""
        return self.is_dsp and (self.packing is not None or self._arithmetics[0])

    @property
    def _arithmetics(self) -> tuple[bool, ...]:
        return (False,) if self.has_signs else arithmetics(self.x, self.weight_elem)

    @property
    def amounts(self) -> Mapping[str, float]:
        """See Kernel."""
        groups, folds = self.rows // self.pe, self.columns // self.simd
        weight_bits = self.pe * self.simd * self.stored_elem.bits
        word = self.simd * self.x.bits
        sums = self.pe * self.acc.bits
        many = groups > 1
        in_luts = not is_in_blocks(weight_bits, groups * folds, self.style)
        amounts = {
            "one": 1,
            "counters": counter_bits(groups, groups, folds, groups * folds),
            "weights": rom_luts(weight_bits, groups * folds, self.style),
            "weight registers": weight_bits if in_luts else 0,
            "biases": rom_luts(sums, groups),
            "bias registers": sums if many else 0,
            "vector": ram_luts(word, folds, has_one_address=True) if many else 0,
            "replayed": word if many else 0,
            "inputs": word,
            "sums": sums,
            "skid": sums if folds == 1 else 0,
        }
        return {**amounts, **self._arithmetic(sums if folds > 1 else 0)}

    def _arithmetic(self, accumulated: int) -> dict[str, float]:
        """Return the amounts of multipliers and of the adders behind them."""
        x, weight, pe, simd = self.x, self.weight_elem, self.pe, self.simd
        accumulator = {"LUT accumulators": accumulated}
        if self.x_is_bipolar:
            triples = -(-simd // 3)
            nines = -(-triples // 3) if triples > 1 else 0
            counted = {"counted triples": pe * triples, "counted nines": pe * nines}
            return {**counted, "count tree": pe * tree_bits(nines, 4), **accumulator}
        if self.has_signs:
            bits = x.bits + (not x.signed)
            complements = 0 if simd > 1 and bits == 2 else pe * simd * bits
            tree = pe * tree_bits(simd, bits)
            return {"complements": complements, "negation tree": tree, **accumulator}
        if self.uses_dsp:
            chains, chain = self._chains
            bits = x.bits + weight.bits + (chain - 1).bit_length()
            places = [lane % chain for lane in range(simd)]
            stored = pe * self.stored_elem.bits
            return {
                "chained inputs": (chain - 1) * simd * x.bits,
                "delayed weights": stored * sum(max(0, place - 2) for place in places),
                "chained weights": stored * sum(places),
                "chain tree": pe * tree_bits(chains, bits),
                "accumulators": accumulated if simd > 1 or self.packing else 0,
            }
        if x.bits + (not x.signed) + weight.bits <= LUT_INPUTS:
            tables = {"product tables": pe * simd * self.product_bits}
            return {**tables, "tree": pe * tree_bits(simd, self.product_bits), **accumulator}
        rows = multiplier_rows(x, weight)
        return {
            "input line": (rows - 1) * simd * x.bits,
            "multipliers": pe * simd * lut_multiplier_bits(x, weight),
            "first rows": pe * simd,
            "digits": pe * simd * rows * (rows - 1),
            "tree": pe * tree_bits(simd, self.product_bits),
            **accumulator,
        }

    @property
    def hard_blocks(self) -> Resources:
        """See Kernel."""
        groups, folds = self.rows // self.pe, self.columns // self.simd
        dsp = self.pe // self.fields * self.simd if self.uses_dsp else 0
        weights, bias = self.tables
        found = Resources(dsp=dsp) + block_rom(weights.array, weights.elem.bits, self.style)
        found += block_rom(bias.array, bias.elem.bits)
        return found + block_ram(self.simd * self.x.bits, folds if groups > 1 else 0)

    def evaluate(self, *arrays: Array) -> tuple[Array, ...]:
        """See Kernel."""
        x = as_frames(arrays[0], self.vectors, self.columns)
        if self.x_is_bipolar:
            x = 2 * x - 1
        return (flat(exact_matmul(x, self.weights.T) + self.bias),)

    @property
    def tables(self) -> tuple[Table, ...]:
        """See Kernel."""
        rows, columns = self.rows // self.pe, self.columns // self.simd
        stored = (self.weights + 1) // 2 if self.has_signs else borrowed(self.weights, self.fields)
        tiles = stored.reshape(rows, self.pe, columns, self.simd).transpose(0, 2, 1, 3)
        comment = f"{self.rows} rows of {self.columns} weights, as PE x SIMD tiles"
        if self.packing:
            comment += f", {self.fields} rows a DSP block: 1 less above a negative one"
        return (
            Table("weights", self.stored_elem, tiles.reshape(-1, self.pe, self.simd), comment),
            Table("bias", self.acc, grouped(self.start, self.pe), f"start of {self.rows} sums"),
        )

    @property
    def call(self) -> Call:
        """See Kernel."""
        types = (self.x.c_type, self.stored_elem.c_type, self.acc.c_type)
        geometry = (self.rows, self.columns, self.pe, self.simd, self.vectors)
        products: tuple[str | int, ...] = (cpp_bool(self.is_dsp),)
        if self.has_signs:
            products = ("false", "lepton::EqualSigns" if self.x_is_bipolar else "lepton::Negation")
        elif self.packing:
            products = ("true", "lepton::Multiplier<true>", *self._packed.values())
        return Call("mvu.hpp", "matrix_vector", (*types, *geometry, *products))

    @property
    def module(self) -> Module:
        """See Kernel."""
        tables = self.tables
        types = product_parameters(self.x, tables, self.is_dsp, self.style)
        shape = {"ROWS": self.rows, "COLS": self.columns, "PE": self.pe, "SIMD": self.simd}
        products: dict[str, int] = self._packed
        if self.has_signs:
            products = {"W_SIGNS": 1, "X_BIPOLAR": int(self.x_is_bipolar)}
        elif not self.is_dsp and self.product_bits < self.x.bits + self.weight_elem.bits:
            products = {"PRODUCT_BITS": self.product_bits}
        return Module(
            "lepton_mvu", {**shape, **types, **products}, memories=weight_memories(tables)
        )

    @property
    def _packed(self) -> dict[str, int]:
        """The parameters of rows that share DSP blocks."""
        if not self.packing:
            return {}
        chain = self.packing.chains(self.simd)[1]
        return {"FIELDS": self.fields, "FIELD_BITS": self.packing.field_bits, "CHAIN": chain}

    @property
    def summary(self) -> str:
        """See Kernel."""
        return (
            f"{self.vectors} products of {self.rows}x{self.columns} weights with a vector, "
            f"{self.pe} rows x {self.simd} columns at once"
        )

"""Pins: folding parameters that the user fixes, by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lepton_edge.artifact.files import read_toml
from lepton_edge.backends.fpga.dataflow import Actor
from lepton_edge.backends.fpga.kernels.base import Kernel
from lepton_edge.errors import ConfigError, UnknownNameError

Pins = Mapping[str, Mapping[str, int]]
"""Folding parameters fixed by the user, by layer name."""


def obeying(kernels: Sequence[Kernel], actor: Actor, pins: Pins) -> list[Kernel]:
    """Return the foldings of an actor that the pins of its layer allow.

    Raises:
        ConfigError: none is left.
    """
    pinned = pins.get(actor.layer, {})
    allowed = [k for k in kernels if _obeys(k, pinned)]
    if not allowed:
        raise exclusive(actor.layer)
    return allowed


def exclusive(layer: str) -> ConfigError:
    """Return the error of pins that no folding obeys together."""
    return ConfigError("the pinned parameters exclude each other", where=f"layer {layer!r}")


def _obeys(kernel: Kernel, pinned: Mapping[str, int]) -> bool:
    folding = kernel.folding
    return all(folding[k] == v for k, v in pinned.items() if k in folding)


def check_pins(choices: Iterable[tuple[Actor, Sequence[Kernel]]], pins: Pins) -> None:
    """See that every pin names a layer, a parameter and a value that there are.

    Args:
        choices: the actors that have a folding of their own, each with all of its foldings.
        pins: what the user fixed.

    Raises:
        UnknownNameError: there is no such layer.
        ConfigError: there is no such parameter or value; says which there are.
    """
    foldings: dict[str, list[dict[str, int]]] = {}
    for actor, kernels in choices:
        foldings.setdefault(actor.layer, []).extend(k.folding for k in kernels)
    for layer, pinned in pins.items():
        if layer not in foldings:
            raise UnknownNameError.of("layer", layer, foldings)
        for key, value in pinned.items():
            legal = sorted({folding[key] for folding in foldings[layer] if key in folding})
            if not legal:
                known = sorted({name for folding in foldings[layer] for name in folding})
                raise ConfigError(
                    f"{key!r} is not a folding parameter of this layer; it has "
                    f"{', '.join(known) or 'none'}",
                    where=f"layer {layer!r}",
                )
            if value not in legal:
                raise ConfigError(
                    f"{key} = {value} is not a folding of this layer; wanted one of "
                    f"{', '.join(map(str, legal))}",
                    where=f"layer {layer!r}",
                )


def read_pins(path: Path) -> dict[str, dict[str, int]]:
    """Read pinned foldings: a TOML table for each layer, with pe, simd, lanes and the like.

    ``dsp`` is how many products a DSP block makes, 0 where LUTs do; ``bram`` (weights) and
    ``line_bram`` (line buffers) are 1 or 0: in block RAM or in LUTs.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    document = read_toml(path)
    for layer, table in document.items():
        if not isinstance(table, dict) or not all(type(v) is int for v in table.values()):
            raise ConfigError(
                "wanted a table of whole numbers, such as pe = 4",
                where=f"{path}: layer {layer!r}",
                hint='layer names in quotes, then parameters:\n["block1.conv"]\npe = 4\nsimd = 8',
            )
    return document

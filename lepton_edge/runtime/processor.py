"""Run a network that was compiled for this computer's processor."""

from __future__ import annotations

import ctypes
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lepton_edge.errors import DeviceError

Array = npt.NDArray[Any]

ALIGNMENT = 64
"""Bytes: kernels load whole vectors from where the plan says."""

SLACK = 64
"""Bytes behind the arena and the weights that kernels may read, never write: backends.tvm.arena's.
The runtime imports no compiler."""


@dataclass(frozen=True)
class Place:
    """Where an input or output lies in the arena.

    Args:
        value: its name.
        dtype: numpy's name of its type.
        shape: for one frame, the leading 1 included where there is one.
        offset: bytes from the arena's begin.
    """

    value: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class Layout:
    """A program's memory.

    Args:
        arena_bytes: what activations take, inputs and outputs included.
        inputs: where the inputs lie.
        outputs: where the outputs lie.
        arch: the processor's architecture, as ``uname -m`` says it.
        features: what the processor must be able to do, as /proc/cpuinfo calls it.
    """

    arena_bytes: int
    inputs: tuple[Place, ...]
    outputs: tuple[Place, ...]
    arch: str = ""
    features: tuple[str, ...] = ()


def processor_features() -> frozenset[str]:
    """Return what this computer's processor can do; nothing where the system does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    found = (rest.split() for key, _, rest in lines if key.strip() in ("flags", "Features"))
    return frozenset(next(found, []))


class Session:
    """A compiled network in memory. It computes one frame at once, on one arena.

    Args:
        library: the shared library with the kernels.
        weights: the file of its constants.
        layout: where everything lies.
        threads: how many share the work, 1..64. More than the computer has cores are slow.

    Raises:
        DeviceError: the processor lacks something, or the files are damaged.
    """

    def __init__(self, library: Path, weights: Path, layout: Layout, threads: int = 1) -> None:
        missing = sorted(set(layout.features) - processor_features())
        if missing:
            raise DeviceError(
                f"this processor lacks {', '.join(missing)}, which the network was compiled for",
                where=str(library),
                hint="compile the model on this computer",
            )
        self.layout = layout
        try:
            code = ctypes.CDLL(str(library))
            self._call, self._pool_run = code.lepton_entry, code.lepton_pool_run
            self._pool_new, self._pool_delete = code.lepton_pool_new, code.lepton_pool_delete
            constants = np.fromfile(weights, np.uint8)
        except (OSError, AttributeError) as error:
            raise DeviceError(
                f"the compiled network is damaged: {error}",
                where=str(library),
                hint="compile the model again",
            ) from None
        pointer, number = ctypes.c_void_p, ctypes.c_int32
        self._call.argtypes = (pointer, pointer, number, number, pointer)
        self._pool_new.argtypes, self._pool_new.restype = (number,), pointer
        self._pool_run.argtypes = (pointer, pointer, pointer)
        self._pool_delete.argtypes = (pointer,)
        for function in (self._call, self._pool_run, self._pool_delete):
            function.restype = None
        self._arena = _aligned(layout.arena_bytes + SLACK)
        self._weights = _aligned(constants.size + SLACK)
        self._weights[: constants.size] = constants
        addresses = self._arena.ctypes.data, self._weights.ctypes.data
        self._run = self._call
        self._given: tuple[int | None, ...] = (*addresses, 0, 1, None)
        if threads > 1:
            pool = self._pool_new(threads)
            if not pool:
                raise DeviceError(
                    f"the system does not give {threads} threads", hint="ask for fewer"
                )
            self._run, self._given = self._pool_run, (pool, *addresses)
            weakref.finalize(self, self._pool_delete, pool)
        self._inputs = [self._view(place) for place in layout.inputs]
        self._outputs = [self._view(place) for place in layout.outputs]

    def run(
        self, arrays: Mapping[str, Array], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, Array]:
        """Compute frames.

        Args:
            arrays: for each input an array [N, ...], of the input's type; where an input has no
                batch of 1, its one frame.
            advance: told how many frames are done, of how many.

        Returns:
            An array [N, ...] for each output, or that of the one frame.
        """
        given = [arrays[place.value] for place in self.layout.inputs]
        if not all(place.shape[:1] == (1,) for place in self.layout.inputs):
            self._compute(given)
            values = zip(self.layout.outputs, self._outputs, strict=True)
            return {place.value: view.copy() for place, view in values}
        count = len(given[0]) if given else 1
        results = [
            np.empty((count, *frame_shape(place.shape)), place.dtype)
            for place in self.layout.outputs
        ]
        for i in range(count):
            self._compute([array[i] for array in given])
            for result, view in zip(results, self._outputs, strict=True):
                result[i] = view.reshape(result.shape[1:])
            if advance and i % 256 == 255:
                advance(i + 1, count)
        return {p.value: result for p, result in zip(self.layout.outputs, results, strict=True)}

    def benchmark(self, repeats: int, warm_up: int = 10) -> list[float]:
        """Return how long each of some runs takes, in seconds, on the last frame."""
        run, given, clock = self._run, self._given, time.perf_counter
        for _ in range(warm_up):
            run(*given)
        times: list[float] = []
        for _ in range(repeats):
            begin = clock()
            run(*given)
            times.append(clock() - begin)
        return times

    def _compute(self, frame: Sequence[Array]) -> None:
        """Compute one frame, given its inputs."""
        for view, array in zip(self._inputs, frame, strict=True):
            view[...] = array.reshape(view.shape)
        self._run(*self._given)

    def _view(self, place: Place) -> Array:
        """Return an input or output as an array in the arena."""
        size = int(np.prod(place.shape, dtype=np.int64)) * np.dtype(place.dtype).itemsize
        if place.offset < 0 or place.offset + size > self.layout.arena_bytes:
            raise DeviceError(
                f"{place.value!r} does not lie in the arena of {self.layout.arena_bytes} bytes",
                hint="compile the model again",
            )
        data = self._arena[place.offset : place.offset + size]
        return data.view(place.dtype).reshape(place.shape)


def frame_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a frame's shape without the batch of 1."""
    return tuple(shape[1:] if shape[:1] == (1,) else shape)


def _aligned(num_bytes: int) -> Array:
    """Return zeros that begin at an aligned address."""
    room = np.zeros(num_bytes + ALIGNMENT, np.uint8)
    begin = -room.ctypes.data % ALIGNMENT
    return room[begin : begin + num_bytes]

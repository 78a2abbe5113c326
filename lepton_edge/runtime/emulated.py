"""Run a network's program for another processor, frame by frame through a pipe."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lepton_edge.errors import DeviceError
from lepton_edge.runtime.processor import Layout, frame_shape

Array = npt.NDArray[Any]

TIMEOUT_S = 3600.0


class EmulatedSession:
    """A program that computes frames from its input to its output.

    Args:
        command: how it is started.
        layout: its inputs and outputs.
    """

    def __init__(self, command: Sequence[str | Path], layout: Layout) -> None:
        self._command = [str(word) for word in command]
        self.layout = layout

    def run(
        self, arrays: Mapping[str, Array], advance: Callable[[int, int], None] | None = None
    ) -> dict[str, Array]:
        """Compute frames. See Session.

        Raises:
            DeviceError: the program failed, or took too long.
        """
        given = [np.ascontiguousarray(arrays[place.value]) for place in self.layout.inputs]
        has_batch = all(place.shape[:1] == (1,) for place in self.layout.inputs)
        count = len(given[0]) if given and has_batch else 1
        frames = [array[i] if has_batch else array for i in range(count) for array in given]
        said = self._piped(b"".join(frame.tobytes() for frame in frames))
        sizes = [_bytes(place.shape, place.dtype) for place in self.layout.outputs]
        if len(said) != count * sum(sizes):
            raise DeviceError(
                f"the program gave {len(said)} bytes; wanted {count * sum(sizes)}",
                where=self._command[-1],
                hint="compile the model again",
            )
        table = np.frombuffer(said, np.uint8).reshape(count, -1)
        results: dict[str, Array] = {}
        begin = 0
        for place, size in zip(self.layout.outputs, sizes, strict=True):
            part = np.ascontiguousarray(table[:, begin : begin + size]).view(place.dtype)
            shape = (count, *frame_shape(place.shape)) if has_batch else place.shape
            results[place.value] = part.reshape(shape)
            begin += size
        if advance:
            advance(count, count)
        return results

    def _piped(self, data: bytes) -> bytes:
        """Return what the program writes for what it reads."""
        try:
            done = subprocess.run(
                self._command, input=data, capture_output=True, timeout=TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeviceError(f"the program did not run: {error}") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise DeviceError(
                f"the program ended with status {done.returncode}: {said[-1] if said else ''}",
                where=self._command[-1],
            )
        return done.stdout


def _bytes(shape: Sequence[int], dtype: str) -> int:
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize

"""Drive the C simulation of a design with numpy arrays."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lepton_edge.errors import DeviceError

Array = npt.NDArray[Any]

FRAMES_AT_ONCE = 2
"""Frames in one call of the top function: enough to exercise back-to-back frames, while the
simulated streams stay small."""

CHUNK = 16
"""Frames between two progress reports."""


@dataclass(frozen=True)
class PortSpec:
    """An AXI-Stream port as the host sees it.

    Args:
        name: the port.
        value: the network's value that travels through it.
        dtype: numpy type of its elements.
        elements: elements a frame.
        lanes: elements in a word of the port.
    """

    name: str
    value: str
    dtype: str
    elements: int
    lanes: int

    @property
    def words(self) -> int:
        """Words a frame."""
        return self.elements // self.lanes

    @property
    def word_bits(self) -> int:
        """Bits of a word."""
        return 8 * np.dtype(self.dtype).itemsize * self.lanes


class CSimulation:
    """A compiled design as a function on arrays. Reentrant: the library keeps no state.

    Args:
        library: the shared library built from the HLS project.
        inputs: the design's input ports, in order.
        outputs: the design's output ports, in order.
        design_id: the identity that the design must report.
    """

    def __init__(
        self, library: Path, inputs: Sequence[PortSpec], outputs: Sequence[PortSpec], design_id: int
    ) -> None:
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)
        self._design_id = design_id
        self._library = library
        try:
            self._call = ctypes.CDLL(str(library)).lepton_csim
        except (OSError, AttributeError) as error:
            raise DeviceError(
                f"the built C simulation is damaged: {error}",
                where=str(library),
                hint="delete this file, and run the command again",
            ) from None
        self._call.restype = ctypes.c_int

    def run(
        self,
        arrays: Mapping[str, Array],
        advance: Callable[[int, int], None] | None = None,
    ) -> dict[str, Array]:
        """Simulate frames.

        Args:
            arrays: codes [N, ...] of each input port's value.
            advance: told how many frames are done, of how many.

        Returns:
            Codes [N, elements] of each output port's value.

        Raises:
            DeviceError: the design stopped, or is another one than this artifact's.
        """
        given = [
            np.ascontiguousarray(arrays[p.value].reshape(len(arrays[p.value]), -1).astype(p.dtype))
            for p in self._inputs
        ]
        count = len(given[0])
        results = [np.zeros((count, p.elements), p.dtype) for p in self._outputs]
        starts = range(0, count, CHUNK)
        done = 0
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            jobs = [
                pool.submit(self._simulate, given, results, s, min(s + CHUNK, count))
                for s in starts
            ]
            for start, job in zip(starts, jobs, strict=True):
                job.result()
                done = min(start + CHUNK, count)
                if advance:
                    advance(done, count)
        return {p.value: r for p, r in zip(self._outputs, results, strict=True)}

    def _simulate(self, given: list[Array], results: list[Array], start: int, end: int) -> None:
        pointers = [
            (ctypes.c_void_p * len(arrays))(*(a[start:end].ctypes.data for a in arrays))
            for arrays in (given, results)
        ]
        design_id = ctypes.c_uint(0)
        message = ctypes.create_string_buffer(512)
        status = self._call(
            pointers[0], pointers[1], ctypes.c_uint(end - start), ctypes.c_uint(FRAMES_AT_ONCE),
            ctypes.byref(design_id), message, ctypes.c_uint(len(message)),
        )  # fmt: skip
        if status != 0:
            raise DeviceError(
                f"C simulation stopped: {message.value.decode(errors='replace')}",
                where=str(self._library),
            )
        if design_id.value != self._design_id:
            raise DeviceError(
                f"the design says it is {design_id.value:08x}; wanted {self._design_id:08x}",
                where=str(self._library),
                hint="compile the model again",
            )

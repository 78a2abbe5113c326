"""Drive a Verilated design: words in, words out, and the cycle in which each moved."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from lepton_edge.errors import DeviceError

Words = NDArray[np.uint32]
Cycles = NDArray[np.int64]

MESSAGE_BYTES = 1 << 16
_in_folder = threading.Lock()
"""Held while a model is made: it reads its memory files relative to the working directory."""


@dataclass(frozen=True)
class WordStream:
    """A stream of a design.

    Args:
        name: of the stream.
        bits: of a word.
        is_input: into the design.
    """

    name: str
    bits: int
    is_input: bool

    @property
    def pieces(self) -> int:
        """32-bit pieces of a word."""
        return -(-self.bits // 32)


class _Job(ctypes.Structure):
    """Mirrors ``Job`` in hls/rtl/sim/driver.hpp."""

    _fields_ = (
        ("words", ctypes.c_void_p),
        ("counts", ctypes.c_void_p),
        ("cycles", ctypes.c_void_p),
        ("done", ctypes.c_void_p),
        ("stalls", ctypes.c_void_p),
        ("seed", ctypes.c_uint32),
        ("patience", ctypes.c_int64),
        ("linger", ctypes.c_int64),
        ("is_checked", ctypes.c_int32),
        ("message", ctypes.c_char_p),
        ("message_size", ctypes.c_int64),
    )


@dataclass(frozen=True)
class Run:
    """What a simulation gave.

    Args:
        words: for each output stream the words [words, pieces] that came.
        cycles: for each stream the cycle of each transfer.
        total: cycles until the last transfer.
        trouble: what broke the protocol, a line each; empty if nothing did.
    """

    words: Mapping[str, Words]
    cycles: Mapping[str, Cycles]
    total: int
    trouble: str


class Verilated:
    """A built design. It keeps its state between runs; ``reset`` starts afresh.

    Args:
        library: what ``toolchain.verilator.build_simulation`` made.
        streams: the design's streams, in the order of the bridge.
        folder: the memory files that parameters name are read from here.

    Raises:
        DeviceError: the library cannot be loaded.
    """

    def __init__(self, library: Path, streams: Sequence[WordStream], folder: Path) -> None:
        self.streams = tuple(streams)
        try:
            self._library = ctypes.CDLL(str(library))
            self._library.lepton_open.restype = ctypes.c_void_p
        except (OSError, AttributeError) as error:
            raise DeviceError(
                f"the built RTL simulation is damaged: {error}",
                where=str(library),
                hint="delete this file, and run the command again",
            ) from None
        self._library.lepton_run.restype = ctypes.c_int64
        self._library.lepton_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self._library.lepton_trace.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        for name in ("close", "reset"):
            getattr(self._library, f"lepton_{name}").argtypes = [ctypes.c_void_p]
        with _in_folder:
            here = Path.cwd()
            os.chdir(folder)
            try:
                self._handle = self._library.lepton_open()
            finally:
                os.chdir(here)

    def __enter__(self) -> Verilated:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the model, and end its trace."""
        if self._handle is not None:
            self._library.lepton_close(self._handle)
            self._handle = None

    def reset(self) -> None:
        """Reset the design."""
        self._library.lepton_reset(self._handle)

    def trace(self, path: Path) -> None:
        """Write waveforms (VCD) to ``path`` from now on.

        Raises:
            DeviceError: the file cannot be written, or this build has no waveforms.
        """
        if not self._library.lepton_trace(self._handle, os.fsencode(path)):
            raise DeviceError("waveforms cannot be written", where=str(path))

    def write(self, address: int, value: int) -> None:
        """Write a register.

        Raises:
            DeviceError: the design does not answer.
        """
        done = self._library.lepton_write(
            ctypes.c_void_p(self._handle), ctypes.c_uint32(address), ctypes.c_uint32(value)
        )
        if not done:
            raise DeviceError(f"no answer to a write of register {address:#x}", where="RTL")

    def read(self, address: int) -> int:
        """Return a register.

        Raises:
            DeviceError: the design does not answer.
        """
        value = ctypes.c_uint32()
        done = self._library.lepton_read(
            ctypes.c_void_p(self._handle), ctypes.c_uint32(address), ctypes.byref(value)
        )
        if not done:
            raise DeviceError(f"no answer to a read of register {address:#x}", where="RTL")
        return value.value

    def run(
        self,
        inputs: Mapping[str, Words],
        expected: Mapping[str, int],
        *,
        stall_in: float = 0.0,
        stall_out: float = 0.0,
        seed: int = 1,
        is_checked: bool = True,
        patience: int = 20_000,
        linger: int = 200,
    ) -> Run:
        """Send words, and receive words.

        Args:
            inputs: for each input stream words [words, pieces]; a stream left out stays silent.
            expected: for each output stream how many words shall come; one left out
                takes none.
            stall_in: chance that an input offers no word in a cycle, 0..1.
            stall_out: chance that an output takes no word in a cycle, 0..1.
            seed: of the stalls.
            is_checked: watch the protocol (held valid, stable data, no combinational paths);
                takes twice the time.
            patience: cycles without any transfer after which to give up.
            linger: cycles after the last word in which surplus words are looked for.
        """
        count = len(self.streams)
        counts, done = np.zeros(count, np.int64), np.zeros(count, np.int64)
        stalls = np.zeros(count, np.uint32)
        words: list[Words] = []
        cycles: list[Cycles] = []
        for i, s in enumerate(self.streams):
            if s.is_input:
                array = inputs.get(s.name, np.zeros((0, s.pieces), np.uint32))
                array = np.ascontiguousarray(array, np.uint32)
                if array.ndim != 2 or array.shape[1] != s.pieces:
                    raise ValueError(f"{s.name}: words of {s.pieces} pieces wanted, {array.shape}")
            else:
                array = np.zeros((expected.get(s.name, 0), s.pieces), np.uint32)
            counts[i] = len(array) if s.is_input or s.name in expected else -1
            words.append(array)
            cycles.append(np.full(max(1, len(array)), -1, np.int64))
            chance = stall_in if s.is_input else stall_out
            stalls[i] = min(int(chance * 2**32), 2**32 - 1)
        pointers = (ctypes.c_void_p * count)(*(a.ctypes.data for a in words))
        cycle_pointers = (ctypes.c_void_p * count)(*(a.ctypes.data for a in cycles))
        message = ctypes.create_string_buffer(MESSAGE_BYTES)
        job = _Job(
            ctypes.addressof(pointers),
            counts.ctypes.data,
            ctypes.addressof(cycle_pointers),
            done.ctypes.data,
            stalls.ctypes.data,
            seed,
            patience,
            linger,
            int(is_checked),
            ctypes.cast(message, ctypes.c_char_p),
            len(message),
        )
        total = self._library.lepton_run(self._handle, ctypes.byref(job))
        moved = dict(zip((s.name for s in self.streams), done.tolist(), strict=True))
        return Run(
            {
                s.name: array[: moved[s.name]]
                for s, array in zip(self.streams, words, strict=True)
                if not s.is_input
            },
            {s.name: array[: moved[s.name]] for s, array in zip(self.streams, cycles, strict=True)},
            int(total),
            message.value.decode(errors="replace"),
        )

"""Run the RTL form of a design, cycle by cycle, on numpy arrays."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lepton_edge.errors import DeviceError
from lepton_edge.runtime.csim import Array, PortSpec
from lepton_edge.runtime.verilated import Cycles, Run, Verilated, Words, WordStream

CONTROL, FRAMES, DESIGN_ID, CYCLES, FIRST_CYCLES = 0x00, 0x10, 0x18, 0x20, 0x28
"""Registers of a design. Source: hls/rtl/lepton_axilite.sv."""

PATIENCE = 200_000
"""Cycles without a transfer after which a design is taken for stuck; a frame may take as long."""

TRACED_FRAMES = 2
"""Frames whose waveforms are written: some MB each, and two show how frames follow each other."""

MIN_CHUNK = 8
"""Fewest frames in one of several simulations that run side by side."""


@dataclass(frozen=True)
class RtlRun:
    """What a simulation of frames, back to back, gave.

    Args:
        outputs: codes [N, elements] of each output port's value.
        ends: [N] cycle in which each frame's last word left, counted from the first word that
            came in.
    """

    outputs: dict[str, Array]
    ends: Cycles

    @property
    def latency_cycles(self) -> int:
        """Cycles from the first frame's first input word to its last output word."""
        return int(self.ends[0]) + 1

    @property
    def cycles_per_frame(self) -> float | None:
        """Cycles a frame in steady state: the later half of the frames; None for one frame.

        Earlier ones are faster: the FIFOs behind the slowest actor still fill.
        """
        count = len(self.ends)
        if count < 2:
            return None
        start = (count - 1) // 2
        return float(self.ends[-1] - self.ends[start]) / (count - 1 - start)


class RtlSimulation:
    """A built RTL design as a function on arrays.

    Args:
        library: what ``toolchain.verilator.build_simulation`` made of the RTL project.
        project: the RTL project's folder, where its memory files are.
        inputs: the design's input ports, in order.
        outputs: the design's output ports, in order.
        design_id: the identity that the design must report.
    """

    def __init__(
        self,
        library: Path,
        project: Path,
        inputs: Sequence[PortSpec],
        outputs: Sequence[PortSpec],
        design_id: int,
    ) -> None:
        self._library, self._project = library, project
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)
        self._design_id = design_id
        self._streams = [
            WordStream(p.name, p.word_bits, is_input)
            for ports, is_input in ((self._inputs, True), (self._outputs, False))
            for p in ports
        ]

    def run(
        self,
        arrays: Mapping[str, Array],
        advance: Callable[[int, int], None] | None = None,
        trace: Path | None = None,
    ) -> dict[str, Array]:
        """Simulate frames; several simulations share them where there are cores.

        Args:
            arrays: codes [N, ...] of each input port's value.
            advance: told how many frames are done, of how many.
            trace: where to write waveforms of the first TRACED_FRAMES frames (see
                `run_back_to_back`), which then run for themselves.

        Returns:
            Codes [N, elements] of each output port's value.

        Raises:
            DeviceError: the design stopped, or is another one than this artifact's.
        """
        count = len(arrays[self._inputs[0].value])
        if count == 0:
            return {p.value: np.zeros((0, p.elements), p.dtype) for p in self._outputs}
        results: list[dict[str, Array]] = []
        if trace is not None:
            first = {k: v[:TRACED_FRAMES] for k, v in arrays.items()}
            results.append(self.run_back_to_back(first, trace=trace).outputs)
        done = min(count, TRACED_FRAMES) if trace else 0
        chunk = max(MIN_CHUNK, -(-count // (4 * (os.cpu_count() or 1))))
        parts = [
            {k: v[start : start + chunk] for k, v in arrays.items()}
            for start in range(done, count, chunk)
        ]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for part in pool.map(self.run_back_to_back, parts):
                results.append(part.outputs)
                done += len(part.ends)
                if advance:
                    advance(done, count)
        return {
            p.value: np.concatenate([result[p.value] for result in results]) for p in self._outputs
        }

    def run_back_to_back(
        self,
        arrays: Mapping[str, Array],
        *,
        stall_in: float = 0.0,
        stall_out: float = 0.0,
        seed: int = 1,
        trace: Path | None = None,
    ) -> RtlRun:
        """Simulate frames in one design, each as close behind the other as it takes them.

        Args:
            arrays: codes [N, ...] of each input port's value, N at least 1.
            stall_in: chance that an input offers no word in a cycle, 0..1.
            stall_out: chance that an output takes no word in a cycle, 0..1.
            seed: of the stalls.
            trace: where to write waveforms (VCD); the library must be built for it.

        Raises:
            DeviceError: see `run`.
        """
        words = {
            p.name: _to_words(arrays[p.value].reshape(-1, p.lanes).astype(p.dtype), p)
            for p in self._inputs
        }
        frames = len(arrays[self._inputs[0].value])
        expected = {p.name: frames * p.words for p in self._outputs}
        with Verilated(self._library, self._streams, self._project) as design:
            if trace is not None:
                design.trace(trace)
            found = design.read(DESIGN_ID)
            if found != self._design_id:
                raise DeviceError(
                    f"the design says it is {found:08x}; wanted {self._design_id:08x}",
                    where=str(self._project),
                    hint="compile the model again",
                )
            design.write(FRAMES, frames)
            design.write(CONTROL, 1)
            run = design.run(
                words,
                expected,
                stall_in=stall_in,
                stall_out=stall_out,
                seed=seed,
                is_checked=stall_out > 0,
                patience=PATIENCE,
            )
        return self._result(run, frames)

    def _result(self, run: Run, frames: int) -> RtlRun:
        if run.trouble:
            raise DeviceError(f"RTL simulation: {run.trouble.strip()}", where=str(self._project))
        outputs, ends = {}, np.zeros(frames, np.int64)
        for port in self._outputs:
            words = run.words[port.name]
            if len(words) < frames * port.words:
                raise DeviceError(
                    f"RTL simulation stopped: {port.name} gave {len(words)} of "
                    f"{frames * port.words} words, then none for {PATIENCE} cycles",
                    where=str(self._project),
                    hint="please report this with the model: it is a fault of the compiler",
                )
            outputs[port.value] = _from_words(words, port).reshape(frames, port.elements)
            ends = np.maximum(ends, run.cycles[port.name][port.words - 1 :: port.words])
        first = min(int(run.cycles[p.name][0]) for p in self._inputs)
        return RtlRun(outputs, ends - first)


def _to_words(array: Array, port: PortSpec) -> Words:
    """Return elements [words, lanes] as words of 32-bit pieces."""
    octets = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
    padding = -port.word_bits // 8 % 4
    return np.ascontiguousarray(np.pad(octets, ((0, 0), (0, padding)))).view("<u4")


def _from_words(words: Words, port: PortSpec) -> Array:
    """Return words of 32-bit pieces as elements [words, lanes]."""
    octets = np.ascontiguousarray(words).view(np.uint8)[:, : port.word_bits // 8]
    return np.ascontiguousarray(octets).view(port.dtype)

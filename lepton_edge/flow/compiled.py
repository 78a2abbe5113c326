"""A compiled network: run it, verify it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lepton_edge.artifact.arrays import load_arrays
from lepton_edge.artifact.manifest import Manifest
from lepton_edge.artifact.report import Report
from lepton_edge.artifact.store import StoredArtifact, load_artifact, update_report
from lepton_edge.errors import UnknownNameError, UserError
from lepton_edge.flow import processor
from lepton_edge.flow.build import BuildOptions, Built, build_artifact
from lepton_edge.flow.consistency import check_consistency
from lepton_edge.flow.levels import require_equal, run_network, runnable_levels, verify_levels
from lepton_edge.flow.options import LEVELS_OF, PROCESSORS, SOURCE_FOLDERS
from lepton_edge.flow.samples import extended
from lepton_edge.ir.serde import load_graph
from lepton_edge.ir.types import Array
from lepton_edge.progress import Progress, Silent


def open_artifact(path: Path | str) -> Artifact:
    """Return the artifact that ``compile_model`` wrote to ``path``."""
    return Artifact(load_artifact(Path(path)))


class Artifact:
    """A compiled network."""

    def __init__(self, stored: StoredArtifact) -> None:
        self._stored = stored
        self._report = stored.report

    @property
    def root(self) -> Path:
        """The artifact's directory."""
        return self._stored.root

    @property
    def manifest(self) -> Manifest:
        """What the artifact holds."""
        return self._stored.manifest

    @property
    def report(self) -> Report:
        """The figures."""
        return self._report

    def check_is_free(self, path: Path) -> None:
        """See that a file written to ``path`` would not become, or replace, a part of the design.

        Raises:
            UserError: it would.
        """
        self._stored.check_is_free(path)

    def run(
        self,
        inputs: Mapping[str, Array],
        level: str | None = None,
        progress: Progress | None = None,
        *,
        trace: Path | None = None,
        threads: int = 1,
    ) -> dict[str, Array]:
        """Compute the network's outputs.

        Args:
            inputs: an array [N, ...] for each input of the model.
            level: reference (the interpreter), csim (the generated HLS source, by g++), rtl (the
                generated SystemVerilog, cycle by cycle, by Verilator) or device (the compiled
                program); csim of a design and device of a program when None.
            progress: told what is going on.
            trace: where to write waveforms (VCD) of an RTL simulation: the streams between
                layers, for the first two frames.
            threads: how many share the work of a program.

        Raises:
            UserError: a trace is wanted of another level than rtl, or in place of the design; or
                threads of a design.
        """
        level = self._level(level or self.default_level)
        if trace is not None and level != "rtl":
            raise UserError("has no waveforms", where=f"level {level}", hint="choose level rtl")
        if trace is not None:
            self.check_is_free(trace)
        self._check()
        progress = progress or Silent()
        if self.is_program:
            return processor.run_network(self.root, self.manifest, inputs, level, progress, threads)
        if threads != 1:
            raise UserError("only programs of processors have threads", hint="leave --threads out")
        return run_network(self.root, self.manifest, inputs, level, progress, trace)

    def verify(
        self,
        samples: int = 100,
        inputs: Mapping[str, Array] | None = None,
        levels: Sequence[str] | None = None,
        progress: Progress | None = None,
    ) -> Report:
        """Compare every level with the interpreter, bit for bit, and update the report.

        Args:
            samples: how many frames; the kept samples first, then random ones.
            inputs: frames to use instead.
            levels: levels to compare; all that this machine can run when None.
            progress: told what is going on.

        Raises:
            VerifyError: a level differs; the report says how often.
        """
        for level in levels or ():
            self._level(level)
        self._check()
        network = load_graph(self.root / "graphs" / "network.npz")
        if inputs is None:
            kept = load_arrays(self.root / "samples.npz", self.manifest.inputs)
            inputs = extended(kept, network, samples)
        progress = progress or Silent()
        wanted = self._runnable_levels(progress) if levels is None else levels
        wanted = [level for level in wanted if level != "reference"]
        verify = processor.verify_levels if self.is_program else verify_levels
        verified = verify(self.root, self.manifest, inputs, None, wanted, progress)
        self._report = self._report.with_rows(verified.rows).with_metrics(verified.metrics)
        update_report(self.root, self._report)
        require_equal(verified.rows, str(self.root))
        return self._report

    def build(self, options: BuildOptions | None = None, progress: Progress | None = None) -> Built:
        """Synthesise the design, or bring it to a bitstream, and update the report.

        Args:
            options: what is wanted; synthesis by Yosys for the design's own device when None.
            progress: told what is going on.

        Raises:
            LeptonError: what went wrong; the report is as it was.
        """
        if self.is_program:
            raise UserError(
                f"this artifact is a program for {self.manifest.target}; there is nothing to build",
                where=str(self.root),
                hint="compile the model with --target fpga",
            )
        stored = replace(self._stored, report=self._report)  # what verify found is in it
        built = build_artifact(stored, options or BuildOptions(), progress or Silent())
        self._report = built.report
        return built

    @property
    def is_program(self) -> bool:
        """Whether the network is a program of a processor, and no hardware design."""
        return self.manifest.target in PROCESSORS

    @property
    def default_level(self) -> str:
        """The level that ``run`` takes if none is named."""
        return "device" if self.is_program else "csim"

    def _level(self, name: str) -> str:
        """Return a level, which the target must have."""
        levels = LEVELS_OF[self.manifest.target]
        if name not in levels:
            raise UnknownNameError.of("level", name, levels)
        return name

    def _runnable_levels(self, progress: Progress) -> list[str]:
        return ["device"] if self.is_program else runnable_levels(progress)

    def _check(self) -> None:
        """See that what is about to be compiled and loaded is what compile wrote."""
        self._stored.check_files()
        self._stored.check_alone(*SOURCE_FOLDERS)
        if not self.is_program:
            check_consistency(self.root, self.manifest)

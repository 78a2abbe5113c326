"""The exception tree: every failure a user can meet, with what, where and what to do.

::

    LeptonError                      exit status
      UserError                          2
        ConfigError                      2
        UnknownNameError                 2
        ImportModelError                 3
      QuantError                         4
        CalibrationError                 4
        RangeError                       4
      CompileError                       5
        PassError                        5
        VerifyError                      6
        UnsupportedError                 7
        DoesNotFitError                  8
      ToolError                          9
        ToolMissingError                 9
        ToolVersionError                 9
        ToolFailedError                  9
      DeployError                       10
        ArtifactError                   10
        DeviceError                     10
      TrainError                        11
        CheckpointError                 11
        ProcessGroupError               11
      InternalError                     70

``lepton-edge explain CODE`` prints the docstring of the class with that code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import ClassVar


class LeptonError(Exception):
    """Something Lepton Edge was asked to do cannot be done.

    Args:
        what: what failed, wanted versus found, in one sentence.
        where: the place (model path, node name, pass, file and key); may be empty.
        hint: the next action for the user; may be empty.
    """

    code: ClassVar[str] = "lepton"
    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def at(self, where: str) -> LeptonError:
        """Return this error with an outer place put before its own."""
        self.where = f"{where}: {self.where}" if self.where else where
        return self


class UserError(LeptonError):
    """What was asked for is not possible as it was asked: a path, an option, an input file."""

    code = "user"
    exit_status = 2


class ConfigError(UserError):
    """A configuration file (board, folding, training) is malformed: file, key, wanted, found."""

    code = "config"


class UnknownNameError(UserError):
    """A name (board, target, op, pass, level) is not known; near names are suggested."""

    code = "unknown-name"

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """Build the error for ``name``, which is no known ``kind``."""
        names = sorted(known)
        near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
        return cls(f"no {kind} is named {name!r}", hint=hint)


class ImportModelError(UserError):
    """The model file cannot be read as a network: damaged, not ONNX, cyclic, or ill-typed."""

    code = "import-model"
    exit_status = 3


class QuantError(LeptonError):
    """Quantising the network failed."""

    code = "quant"
    exit_status = 4


class CalibrationError(QuantError):
    """Calibration data is missing, has the wrong arrays, shapes or types, or is not finite."""

    code = "calibration"


class RangeError(QuantError):
    """A value does not fit the integer type that must hold it."""

    code = "range"


class CompileError(LeptonError):
    """The network could not be lowered to the target."""

    code = "compile"
    exit_status = 5


class PassError(CompileError):
    """A compiler pass broke its contract; the graph before it is kept."""

    code = "pass"


class VerifyError(CompileError):
    """Two levels of the same design disagree: at least one output code differs."""

    code = "verify"
    exit_status = 6


class UnsupportedError(CompileError):
    """A layer uses something that the importer or the target does not support."""

    code = "unsupported"
    exit_status = 7


class DoesNotFitError(CompileError):
    """The design needs more of a resource than the board has."""

    code = "does-not-fit"
    exit_status = 8


class ToolError(LeptonError):
    """An external tool (compiler, simulator, synthesiser) could not do its part."""

    code = "tool"
    exit_status = 9


class ToolMissingError(ToolError):
    """A tool or an optional dependency group is not installed; the hint installs it."""

    code = "tool-missing"


class ToolVersionError(ToolError):
    """A tool is installed in a version that cannot be used."""

    code = "tool-version"


class ToolFailedError(ToolError):
    """A tool ended with an error: command, status and log are named."""

    code = "tool-failed"


class DeployError(LeptonError):
    """Bringing a design to a device, or running it there, failed."""

    code = "deploy"
    exit_status = 10


class ArtifactError(DeployError):
    """An artifact directory is missing, damaged, or of another schema version."""

    code = "artifact"


class DeviceError(DeployError):
    """The device does not answer, or does not match the design."""

    code = "device"


class TrainError(LeptonError):
    """Training failed."""

    code = "train"
    exit_status = 11


class CheckpointError(TrainError):
    """A checkpoint is missing, damaged, or of another run."""

    code = "checkpoint"


class ProcessGroupError(TrainError):
    """Workers could not form, or lost, their process group."""

    code = "process-group"


class InternalError(LeptonError):
    """A fault of Lepton Edge itself; please report it with the command and the model."""

    code = "internal"
    exit_status = 70


def error_classes() -> Iterator[type[LeptonError]]:
    """Yield every class of the tree, parents first."""
    pending: list[type[LeptonError]] = [LeptonError]
    while pending:
        cls = pending.pop(0)
        yield cls
        pending.extend(cls.__subclasses__())

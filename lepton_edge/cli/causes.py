"""What usually lies behind each error code; `explain` prints it."""

from __future__ import annotations

from collections.abc import Iterator

from lepton_edge.errors import LeptonError, UnknownNameError, error_classes

TYPICAL_CAUSES: dict[str, tuple[str, ...]] = {
    "lepton": ("the root of all errors; what is raised has a more special code",),
    "user": (
        "an option is missing, misspelt, or out of range: see lepton-edge COMMAND --help",
        "an input file is missing, or has other arrays than the model's inputs",
        "the directory given as -o holds other files, or cannot be written",
    ),
    "config": (
        "a board or folding file lacks a key, has an unknown one, or a value of another type",
        "the file is not TOML: the message names the line",
    ),
    "unknown-name": (
        "a board, target, level, layer or error code is misspelt: the hint has near names",
        "the name belongs to a later version",
    ),
    "import-model": (
        "the file is damaged, or no ONNX model",
        "weights kept in a second file are not beside the model",
        "a shape is dynamic where a fixed one is needed: export with fixed shapes",
    ),
    "quant": (
        "a float model is compiled without --calibration, and the target needs integers",
        "a tensor is constant zero over all calibration samples, so that no scale can be found",
    ),
    "calibration": (
        "the calibration file has other array names, shapes or types than the model's inputs",
        "values are NaN or infinite",
        "the file was saved by pickle: save it by numpy.savez",
    ),
    "range": (
        "an accumulator or bias does not fit the integer type that must hold it",
        "input codes are outside the range of the input's type",
    ),
    "compile": ("the network has a structure that the target cannot take",),
    "pass": ("a fault in a compiler pass: please report it, with the model if you can",),
    "verify": (
        "a fault in a hardware kernel or in the C++ compiler: please report it with the model",
        "files of the artifact were edited after compile wrote them",
    ),
    "unsupported": (
        "the model has an operator, attribute or data type that is not implemented",
        "a layer is float where the target needs integers: see --quantize",
    ),
    "does-not-fit": (
        "the rate asked for (--fps, --latency-us) needs more than the board has: ask for less",
        "the weights are larger than the board's memory: fewer bits, or a larger board",
        "a layer pinned by --folding leaves too little for the others",
    ),
    "tool": ("an external program could not do its part: the message names it",),
    "tool-missing": (
        "the program is not installed, or not on the PATH: lepton-edge doctor lists them all",
    ),
    "tool-version": ("the installed version is too old: the message says which is wanted",),
    "tool-failed": (
        "the program stopped with an error: the message names its log",
        "the disk is full, or memory ran out while it ran",
    ),
    "deploy": ("the design could not be read, or brought to the device",),
    "artifact": (
        "the directory is not one that compile wrote, or compile did not finish",
        "files were edited, or lost in a copy",
        "it was written by another version: compile the model again",
    ),
    "device": (
        "the board is off, or cannot be reached over the network",
        "another design is loaded on it",
    ),
    "train": ("training cannot start, or stopped: the message says where",),
    "checkpoint": ("the file is damaged, or from a run with another configuration",),
    "process-group": ("a worker died, or the workers cannot reach each other",),
    "internal": (
        "a fault of Lepton Edge: please report it with the command, the model and the log",
    ),
}


def error_class(code: str) -> type[LeptonError]:
    """Return the class of errors that have ``code``.

    Raises:
        UnknownNameError: there is none.
    """
    classes = {cls.code: cls for cls in reversed([*error_classes()])}
    if code not in classes:
        raise UnknownNameError.of("error code", code, classes)
    return classes[code]


def known_errors() -> Iterator[type[LeptonError]]:
    """Yield the first class of each code, by exit status, parents first."""
    seen: set[str] = set()
    for cls in sorted(error_classes(), key=lambda cls: cls.exit_status):
        if cls.code not in seen:
            seen.add(cls.code)
            yield cls

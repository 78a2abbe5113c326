"""The PyTorch front end: modules and torch.export programs, by way of ONNX in memory."""

from __future__ import annotations

import contextlib
import io
import logging
import stat
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lepton_edge.errors import ImportModelError, LeptonError, ToolMissingError
from lepton_edge.frontends.pt2 import MAX_ARCHIVE_BYTES, check_archive
from lepton_edge.ir.graph import Graph

if TYPE_CHECKING:
    import onnx
    import torch

OPSET = 20
"""ONNX operator set that modules are exported with."""


def import_torch(
    module: torch.nn.Module, example_inputs: Sequence[Any], *, name: str = ""
) -> Graph:
    """Turn a PyTorch module into a Graph; layers keep their module paths as names.

    The module is exported in evaluation mode, for one sample.

    Args:
        module: with an ordinary ``forward``.
        example_inputs: tensors or arrays for ``forward``; where all have the same leading size
            that is taken as the batch, of which one sample is used.
        name: the graph's name; the module's class by default.

    Raises:
        ToolMissingError: torch or its ONNX exporter is not installed.
        ImportModelError: torch cannot export the module.
        UnsupportedError: the network uses something that cannot be compiled.
    """
    torch_ = _torch()
    inputs = _one_sample([torch_.as_tensor(x) for x in example_inputs])
    name = name or type(module).__name__
    training = [m for m in module.modules() if m.training]
    try:
        module.eval()
        model = _export(module, inputs, name)
    finally:
        for submodule in training:
            submodule.training = True
    return _to_graph(model, name)


def import_pt2(source: Path) -> Graph:
    """Read a program that ``torch.export.save`` wrote.

    Raises:
        ToolMissingError: torch or its ONNX exporter is not installed.
        ImportModelError: the file cannot be read, or torch cannot export the program.
        UnsupportedError: the archive would have to be unpickled, or the network uses something
            that cannot be compiled.
    """
    source = Path(source)
    try:
        archive, samples = check_archive(_read(source))
        program = _load(_torch(), archive, samples)
        return _to_graph(_export(program, None, source.stem), source.stem)
    except LeptonError as error:
        raise error.at(str(source)) from None


def _torch() -> Any:
    try:
        import onnxscript  # noqa: F401  # torch's exporter needs it
        import torch
    except ImportError as error:
        raise ToolMissingError(
            f"the PyTorch front end needs {error.name or 'torch'}, which is not installed",
            hint="pip install 'lepton-edge[torch]'",
        ) from None
    return torch


def _read(source: Path) -> bytes:
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImportModelError("is not a file; wanted a .pt2 archive")
        if status.st_size > MAX_ARCHIVE_BYTES:
            raise ImportModelError(
                f"has {status.st_size} bytes; at most {MAX_ARCHIVE_BYTES} are read"
            )
        return source.read_bytes()
    except FileNotFoundError:
        raise ImportModelError("there is no such file") from None
    except OSError as error:
        raise ImportModelError(f"cannot be read: {error.strerror}") from None


def _one_sample(inputs: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    sizes = {x.shape[0] if x.ndim > 1 else None for x in inputs}
    if len(sizes) == 1 and None not in sizes:
        return tuple(x[:1] for x in inputs)
    return tuple(inputs)


def _load(torch_: Any, archive: bytes, samples: bytes) -> Any:
    """Load a checked archive; its sample inputs must be tensors."""
    with _quiet():
        try:
            torch_.load(io.BytesIO(samples), weights_only=True)
        except Exception as error:  # noqa: BLE001  # torch gives no narrower class
            raise ImportModelError(
                f"the sample inputs are not plain tensors: {_first_line(error)}",
                hint="export with tensors as inputs",
            ) from None
        try:
            return torch_.export.load(io.BytesIO(archive))
        except Exception as error:  # noqa: BLE001
            raise ImportModelError(
                f"torch cannot read the program: {_first_line(error)}",
                hint=f"save it with the installed version, torch {torch_.__version__}",
            ) from None


def _export(program: Any, inputs: tuple[Any, ...] | None, name: str) -> onnx.ModelProto:
    torch_ = _torch()
    arguments = () if inputs is None else (inputs,)
    with _quiet():
        try:
            exported = torch_.onnx.export(
                program, *arguments, dynamo=True, verbose=False, opset_version=OPSET
            )
            return exported.model_proto  # type: ignore[no-any-return]
        except Exception as error:  # noqa: BLE001  # whatever the module or the exporter raises
            raise ImportModelError(
                f"torch cannot export {name!r} to ONNX: {_first_line(_innermost(error))}",
                hint="torch.export.export(module, inputs) shows the whole reason",
            ) from None


def _to_graph(model: onnx.ModelProto, name: str) -> Graph:
    from lepton_edge.frontends.onnx import import_onnx_proto

    return import_onnx_proto(model, name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what torch prints, warns and logs."""
    disabled = logging.root.manager.disable
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            yield
        finally:
            logging.disable(disabled)


def _innermost(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__

"""The commands: read the options, call the flow, show what came out."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lepton_edge import __version__
from lepton_edge.cli.output import Output
from lepton_edge.errors import (
    LeptonError,
    ToolMissingError,
    UnknownNameError,
    UserError,
    VerifyError,
)

if TYPE_CHECKING:
    from lepton_edge.flow import CompileOptions

TARGETS, LATER_TARGETS = ("fpga", "arm", "cpu"), ("cuda",)
LEVELS: tuple[str, ...] = ("reference", "csim", "rtl", "device")

app = typer.Typer(
    name="lepton-edge",
    help="Compile neural networks to edge hardware, checked bit for bit at every stage.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


class Quantize(StrEnum):
    """How a float network becomes one of integers."""

    AUTO = "auto"
    NONE = "none"
    INT8 = "int8"


class ObserverName(StrEnum):
    """How calibration chooses the range of a tensor."""

    MINMAX = "minmax"
    PERCENTILE = "percentile"
    MSE = "mse"


def _positive(value: float | None) -> float | None:
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"wanted a number above 0, found {value:g}")
    return value


def _not_negative(value: float | None) -> float | None:
    if value is not None and not 0 <= value < math.inf:
        raise typer.BadParameter(f"wanted 0 or more, found {value:g}")
    return value


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"lepton-edge {__version__}")
        raise typer.Exit


def _example(*lines: str) -> str:
    """Return the end of a help text, told not to be wrapped by the backspace it begins with."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


_EXAMPLES = {
    "compile": _example(
        "lepton-edge compile examples/digits/digits.onnx --target fpga --board pynq-z2 \\",
        "    --calibration examples/digits/calibration.npz -o build/digits",
    ),
    "run": _example(
        "lepton-edge run build/digits --input examples/digits/test_inputs.npz --level csim \\",
        "    --output outputs.npz",
    ),
    "verify": _example(
        "lepton-edge verify build/digits --samples 200",
    ),
    "build": _example(
        "lepton-edge build build/digits",
        "lepton-edge build build/digits --flow nextpnr --device ulx3s-85f",
    ),
    "boards": _example(
        "lepton-edge boards pynq-z2",
    ),
    "doctor": _example(
        "lepton-edge doctor",
    ),
    "explain": _example(
        "lepton-edge explain does-not-fit",
    ),
}

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
ArtifactDir = Annotated[Path, typer.Argument(metavar="DIR", help="What compile wrote.")]


@app.callback()
def _global(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Compile neural networks to edge hardware, checked bit for bit at every stage."""


@app.command("compile", epilog=_EXAMPLES["compile"])
def compile_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Where the artifact goes."),
    ] = None,
    target: Annotated[
        str, typer.Option(metavar="NAME", help="Kind of device: fpga or cpu.")
    ] = "fpga",
    board: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A name from `lepton-edge boards`, or a .toml file; pynq-z2 by default.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Inputs (.npz, .npy) that show the ranges of values."),
    ] = None,
    quantize: Annotated[Quantize, typer.Option(help="How a float network becomes integers.")] = (
        Quantize.AUTO
    ),
    observer: Annotated[
        ObserverName, typer.Option(help="How calibration chooses the range of a tensor.")
    ] = ObserverName.MINMAX,
    equalize: Annotated[bool, typer.Option("--equalize", help="Even out channel ranges.")] = False,
    correct_bias: Annotated[
        bool, typer.Option("--correct-bias", help="Undo the mean error of quantised layers.")
    ] = False,
    fps: Annotated[
        float | None,
        typer.Option(callback=_positive, metavar="N", help="Frames a second wanted."),
    ] = None,
    latency_us: Annotated[
        float | None,
        typer.Option(callback=_positive, metavar="N", help="Latency wanted, in microseconds."),
    ] = None,
    clock_mhz: Annotated[
        float | None,
        typer.Option(
            callback=_positive, metavar="N", help="Clock, in MHz; the board's by default."
        ),
    ] = None,
    folding: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="TOML: a table a layer: pe, simd, lanes, dsp (0 to 4), bram, line_bram (0 or 1).",
        ),
    ] = None,
    lut: Annotated[
        int | None,
        typer.Option(callback=_not_negative, metavar="N", help="Most LUTs, for 70 % of them."),
    ] = None,
    dsp: Annotated[
        int | None,
        typer.Option(callback=_not_negative, metavar="N", help="Most DSP blocks, for 80 %."),
    ] = None,
    bram: Annotated[
        float | None,
        typer.Option(
            callback=_not_negative, metavar="N", help="Most 36-kbit block RAMs, for 80 %."
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(callback=_positive, metavar="N", help="Samples to prove it with.")
    ] = 32,
    no_csim: Annotated[bool, typer.Option("--no-csim", help="Do not run C simulation.")] = False,
    keep_stages: Annotated[
        bool, typer.Option("--keep-stages", help="Save the graph after each stage.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Plan and estimate; write nothing.")
    ] = False,
    explore: Annotated[
        bool,
        typer.Option("--explore", help="List what else the board can do; write no artifact."),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --explore: draw it (.png, .svg or .pdf)."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Quantise, plan, write and prove a design for a board."""
    _known("target", target, TARGETS, LATER_TARGETS)
    _refuse_both("--fps", fps, "--latency-us", latency_us)
    _refuse_both("--explore", explore or None, "--output", output)
    if plot is not None and not explore:
        what = "--plot draws what --explore finds"
        raise UserError(what, where="lepton-edge compile", hint="give --explore as well")
    for option, is_given in (("--explore", explore), ("--dry-run", dry_run)):
        if is_given and target != "fpga":
            what = f"{option} is for hardware designs; the target is {target}"
            raise UserError(what, where="lepton-edge compile", hint="choose --target fpga")
    root = None if dry_run or explore else _required_output(output)
    out = Output(is_json=json, is_quiet=quiet)
    from lepton_edge.cli import render
    from lepton_edge.flow import CompileOptions, compile_model, plan_model

    # fmt: off
    options = CompileOptions(
        target=target, board=board, calibration=calibration, quantize=quantize.value,
        observer=observer.value, equalize=equalize, correct_bias=correct_bias, fps=fps,
        latency_us=latency_us, clock_mhz=clock_mhz, folding=folding, lut=lut, dsp=dsp, bram=bram,
        samples=samples, csim=not no_csim, keep_stages=keep_stages,
    )
    # fmt: on
    if explore:
        _explore(model, options, plot, out)
        return
    if root is None:
        report = plan_model(model, options, out.progress)
    else:
        report = compile_model(model, root, options, out.progress).report
    document = {"artifact": root and str(root), "report": report.as_dict()}
    out.show(document, render.compiled(report, root, _budget(board or report.board)))


@contextmanager
def _about(path: Path | None) -> Iterator[None]:
    """Name the file with inputs in errors that name no other place: they are about its arrays."""
    try:
        yield
    except UserError as error:
        if path is not None and not error.where:
            error.at(str(path))
        raise


def _explore(model: Path, options: CompileOptions, plot: Path | None, out: Output) -> None:
    """Show the designs worth considering."""
    from lepton_edge.cli import plots, render
    from lepton_edge.flow import explore_model

    if plot is not None:
        plots.check(plot)
    found = explore_model(model, options, out.progress)
    if plot is not None:
        plots.draw(found, plot)
    out.show(render.explore_document(found, plot), render.explored(found, plot))


@app.command(epilog=_EXAMPLES["run"])
def run(
    artifact: ArtifactDir,
    input_: Annotated[
        Path, typer.Option("--input", "-i", metavar="FILE", help="Inputs: .npz or .npy.")
    ],
    level: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="reference, csim or rtl of a design, reference or device of a program; csim or "
            "device by default.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the outputs: .npz or .npy."),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write waveforms (.vcd) of level rtl, of two frames."),
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Threads that share a program's work.")
    ] = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a compiled network on inputs of yours.

    Without --output, a short summary of the outputs is printed.
    """
    if level is not None:
        _known("level", level, LEVELS, ())
    out = Output(is_json=json, is_quiet=quiet)
    from lepton_edge.artifact.arrays import check_output, load_arrays, save_arrays
    from lepton_edge.cli import render
    from lepton_edge.flow import open_artifact

    opened = open_artifact(artifact)
    inputs = load_arrays(input_, opened.manifest.inputs)
    if output is not None:
        opened.check_is_free(output)
        check_output(output, len(opened.manifest.outputs))
    level = level or opened.default_level
    with _about(input_):
        outputs = opened.run(
            inputs, level=level, progress=out.progress, trace=trace, threads=threads
        )
    if output is not None:
        save_arrays(output, outputs)
    out.show(render.run_document(outputs, level, output), render.ran(outputs, level, output))


@app.command(epilog=_EXAMPLES["verify"])
def verify(
    artifact: ArtifactDir,
    samples: Annotated[
        int, typer.Option(callback=_positive, metavar="N", help="Samples to compare.")
    ] = 100,
    input_: Annotated[
        Path | None,
        typer.Option("--input", "-i", metavar="FILE", help="Inputs to compare on: .npz or .npy."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare a design with its reference, bit for bit.

    Every level that this machine can run is compared. The exit status is 0 only if all bits agree.
    """
    out = Output(is_json=json, is_quiet=quiet)
    from lepton_edge.artifact.arrays import load_arrays
    from lepton_edge.artifact.store import load_artifact
    from lepton_edge.cli import render
    from lepton_edge.flow import open_artifact

    opened = open_artifact(artifact)
    inputs = None if input_ is None else load_arrays(input_, opened.manifest.inputs)
    try:
        with _about(input_):
            report = opened.verify(samples=samples, inputs=inputs, progress=out.progress)
    except VerifyError:
        out.view(render.verified(load_artifact(artifact).report))
        raise
    document = {"artifact": str(artifact), "report": report.as_dict()}
    out.show(document, render.verified(report))


@app.command(epilog=_EXAMPLES["build"])
def build(
    artifact: ArtifactDir,
    flow: Annotated[
        str, typer.Option(metavar="NAME", help="yosys, nextpnr (to a bitstream) or vitis.")
    ] = "yosys",
    family: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Fabric to synthesise for (xc7, xcup, ecp5, ice40, gowin); the device's by "
            "default.",
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Board, or a .toml file, whose device to build for; the design's by default.",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(callback=_positive, metavar="N", help="Processes at once; one a core."),
    ] = None,
    seeds: Annotated[
        int, typer.Option(callback=_positive, metavar="N", help="Attempts to place and route.")
    ] = 4,
    whole: Annotated[
        bool, typer.Option("--whole", help="Synthesise the whole design at once as well.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Synthesise a compiled design, or bring it to a bitstream.

    Logs, netlists and bitstreams go to DIR/build, the figures into DIR/report.json.
    """
    out = Output(is_json=json, is_quiet=quiet)
    from lepton_edge.cli import render
    from lepton_edge.flow import BuildOptions, open_artifact

    options = BuildOptions(
        flow=flow, family=family, device=device, jobs=jobs, seeds=seeds, is_whole=whole
    )
    built = open_artifact(artifact).build(options, out.progress)
    facts = (built.report, built.board, built.folder, [artifact / path for path in built.files])
    out.show(render.built_document(*facts), render.built(*facts))


@app.command(epilog=_EXAMPLES["boards"])
def boards(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Show all of one board, with its sources."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the known boards and computers, or show one."""
    out = Output(is_json=json, is_quiet=quiet)
    from lepton_edge.backends.boards import list_boards, load_board
    from lepton_edge.backends.computers import list_computers
    from lepton_edge.cli import guide

    found, computers = list_boards(), list_computers()
    alone = {c.name: c for c in computers if c.name not in {board.name for board in found}}
    if name is None:
        document = {
            "boards": [asdict(board) for board in found],
            "computers": [asdict(computer) for computer in computers],
        }
        out.show(document, guide.devices(found, computers))
    elif name in alone:
        computer = alone[name]
        out.show({"computer": asdict(computer)}, guide.computers_table([computer]))
    else:
        board = load_board(name)
        out.show({"board": asdict(board)}, guide.board_detail(board))


@app.command(epilog=_EXAMPLES["doctor"])
def doctor(json: Json = False, quiet: Quiet = False) -> None:
    """Say which tools this machine has, and how to get others.

    The exit status is 0 if designs can be compiled and proved here.
    """
    out = Output(is_json=json, is_quiet=quiet)
    from lepton_edge.cli import guide
    from lepton_edge.toolchain.find import PACKAGES, TOOLS, look_for

    with out.progress.stage("look for tools and packages"):
        found = [look_for(wanted) for wanted in (*PACKAGES, *TOOLS)]
    is_ok = all(item.is_usable for item in found if item.wanted.is_required)
    facts = (found, platform.python_version(), is_ok)
    out.show(guide.doctor_document(*facts), guide.doctor_table(*facts))
    if not is_ok:
        raise typer.Exit(ToolMissingError.exit_status)


@app.command(epilog=_EXAMPLES["explain"])
def explain(
    code: Annotated[
        str | None,
        typer.Argument(metavar="CODE", help="The code in error[CODE]; all without it."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what an error code means, and its usual causes."""
    out = Output(is_json=json, is_quiet=quiet)
    from lepton_edge.cli import causes, guide

    if code is None:
        known = {cls: causes.TYPICAL_CAUSES.get(cls.code, ()) for cls in causes.known_errors()}
        document = {"errors": [guide.explain_document(*item) for item in known.items()]}
        out.show(document, guide.errors_table(known))
    else:
        cls = causes.error_class(code)
        facts = (cls, causes.TYPICAL_CAUSES.get(cls.code, ()))
        out.show(guide.explain_document(*facts), guide.explanation(*facts))


def _known(kind: str, name: str, now: tuple[str, ...], later: tuple[str, ...]) -> None:
    """Raise UnknownNameError unless ``name`` is one of those available now."""
    if name in later:
        what = f"the {kind} {name!r} is not available in this version"
        raise UnknownNameError(what, hint=f"available: {', '.join(now)}")
    if name not in now:
        raise UnknownNameError.of(kind, name, now)


def _refuse_both(option: str, value: object, other: str, other_value: object) -> None:
    if value is not None and other_value is not None:
        what = f"{option} and {other} exclude each other"
        raise UserError(what, where="lepton-edge compile", hint=f"give {option} or {other}")


def _required_output(output: Path | None) -> Path:
    if output is None:
        what = "no directory was given to write to"
        raise UserError(what, where="lepton-edge compile", hint="-o DIR, --dry-run or --explore")
    return output


def _budget(board: str) -> dict[str, float] | None:
    """Return what a board has; None where it is not known here."""
    from lepton_edge.backends.boards import load_board

    try:
        return load_board(board).resources.as_dict()
    except LeptonError:
        return None

"""The commands, with a stand-in for the flow: what is parsed, printed, and returned."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lepton_edge import __version__
from lepton_edge.artifact.manifest import Manifest, TensorSpec
from lepton_edge.artifact.report import Evidence, Metric, Report, VerificationRow
from lepton_edge.artifact.store import ArtifactWriter, load_artifact, update_report
from lepton_edge.backends.boards import Resources, load_board
from lepton_edge.backends.fpga.design import Point
from lepton_edge.cli import main
from lepton_edge.errors import DoesNotFitError, ImportModelError, InternalError, VerifyError
from lepton_edge.flow.planning import Exploration
from lepton_edge.progress import Silent

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = ("compile", "run", "verify", "build", "boards", "doctor", "explain")

Result = tuple[int, str, str]


@dataclass(frozen=True)
class CompileOptions:
    target: str = "fpga"
    board: str | None = None
    calibration: Path | None = None
    quantize: str = "auto"
    observer: str = "minmax"
    equalize: bool = False
    correct_bias: bool = False
    fps: float | None = None
    latency_us: float | None = None
    clock_mhz: float | None = None
    folding: Path | None = None
    lut: int | None = None
    dsp: int | None = None
    bram: float | None = None
    samples: int = 32
    csim: bool = True
    keep_stages: bool = False


@dataclass
class FakeFlow:
    """Stands in for lepton_edge.flow; remembers what it was asked."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    error: BaseException | None = None

    CompileOptions = CompileOptions
    default_level = "csim"

    def compile_model(self, model: Path, output: Path, options: Any, progress: Any) -> FakeFlow:
        self.calls.append(("compile", model, output, options))
        with progress.stage("quantise"):
            self._fail()
        with ArtifactWriter(output) as writer:
            spec = TensorSpec("x", "int8", (1, 4))
            manifest = Manifest("net", "fpga", "pynq-z2", 100.0, "ab", (spec,), (spec,))
            writer.commit(manifest, report_of(model))
        return self.open_artifact(output)

    def plan_model(self, model: Path, options: Any, progress: Any) -> Report:
        self.calls.append(("plan", model, options))
        self._fail()
        return report_of(model)

    def explore_model(self, model: Path, options: Any, progress: Any) -> Exploration:
        self.calls.append(("explore", model, options))
        self._fail()
        points = [
            Point(
                1000 * k, 1e5 / k, 20.0 * k, Resources(9000 // k, 7000 // k, 80 // k, 3.5), k == 2
            )
            for k in (1, 2, 4)
        ]
        return Exploration(model.stem, load_board("pynq-z2"), 100.0, tuple(points))

    def check_is_free(self, path: Path) -> None:
        pass

    def open_artifact(self, path: Path) -> FakeFlow:
        stored = load_artifact(path)
        self.root, self.manifest, self.report = stored.root, stored.manifest, stored.report
        return self

    def run(
        self, inputs: Mapping[str, Any], level: str, progress: Any, trace: Any, threads: int
    ) -> dict[str, Any]:
        self.calls.append(("run", inputs, level))
        return dict(inputs)

    def verify(self, samples: int, inputs: Any, progress: Any) -> Report:
        self.calls.append(("verify", samples, inputs))
        wrong = 3 if isinstance(self.error, VerifyError) else 0
        row = VerificationRow("csim", samples, wrong, "reference", 0.5)
        self.report = self.report.with_verification(row)
        update_report(self.root, self.report)
        self._fail()
        return self.report

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def report_of(model: Path) -> Report:
    metrics = (Metric("lut", 5320, "", Evidence.ESTIMATED, "cost model", "±25 %"),)
    return Report(model.stem, "fpga", "pynq-z2", metrics)


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> FakeFlow:
    fake = FakeFlow()
    module = types.ModuleType("lepton_edge.flow")
    for name in ("CompileOptions", "compile_model", "explore_model", "plan_model", "open_artifact"):
        setattr(module, name, getattr(fake, name))
    monkeypatch.setitem(sys.modules, "lepton_edge.flow", module)
    return fake


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def run(*argv: str | Path) -> Result:
        status = main([str(word) for word in argv])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def artifact(flow: FakeFlow, tmp_path: Path) -> Path:
    flow.compile_model(Path("net.onnx"), tmp_path / "net", None, Silent())
    flow.calls.clear()
    return tmp_path / "net"


def start(*argv: str | Path, **options: Any) -> subprocess.Popen[str]:
    code = "import sys; from lepton_edge.cli import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, argv)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


# compile


def test_compile_passes_its_options_on(flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    out = tmp_path / "net"
    words = (
        "--target fpga --board zcu104 --calibration c.npz --quantize int8 --observer mse "
        "--equalize --correct-bias --fps 1000 --clock-mhz 125 --folding f.toml --lut 9000 "
        "--dsp 0 --bram 2.5 --samples 7 --no-csim --keep-stages"
    )

    status, stdout, stderr = call("compile", "net.onnx", *words.split(), "-o", out)

    assert status == 0
    assert flow.calls == [
        (
            "compile",
            Path("net.onnx"),
            out,
            CompileOptions(
                target="fpga",
                board="zcu104",
                calibration=Path("c.npz"),
                quantize="int8",
                observer="mse",
                equalize=True,
                correct_bias=True,
                fps=1000.0,
                clock_mhz=125.0,
                folding=Path("f.toml"),
                lut=9000,
                dsp=0,
                bram=2.5,
                samples=7,
                csim=False,
                keep_stages=True,
            ),
        )
    ]
    assert "2.3 %" in stdout  # of a ZCU104
    assert f"written to {out}" in stdout
    assert re.fullmatch(r"\[ +\d\.\d s\] quantise\n", stderr)


def test_defaults_are_those_of_the_flow(flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    call("compile", "net.onnx", "-o", tmp_path / "net")

    options = flow.calls[0][3]
    assert options == CompileOptions()
    assert all(
        type(getattr(options, f.name)) in (str, bool, int, type(None)) for f in fields(options)
    )


def test_quiet_says_nothing_on_stderr(flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    status, stdout, stderr = call("compile", "net.onnx", "-q", "-o", tmp_path / "net")

    assert (status, stderr) == (0, "")
    assert "pynq-z2" in stdout


def test_compile_as_json(flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    status, stdout, _ = call("compile", "net.onnx", "--json", "-o", tmp_path / "net")

    document = json.loads(stdout)
    assert status == 0
    assert document["artifact"] == str(tmp_path / "net")
    assert document["report"] == json.loads(report_of(Path("net.onnx")).to_json())


def test_a_dry_run_writes_nothing(flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    status, stdout, _ = call("compile", "net.onnx", "--dry-run", "-o", tmp_path / "net")

    assert status == 0
    assert "a plan only: nothing was written" in stdout
    assert not (tmp_path / "net").exists()
    assert flow.calls == [("plan", Path("net.onnx"), CompileOptions())]
    assert json.loads(call("compile", "net.onnx", "--dry-run", "--json")[1])["artifact"] is None


def test_exploring_shows_every_design_and_the_chosen_one(flow: FakeFlow, call: Any) -> None:
    status, stdout, _ = call("compile", "net.onnx", "--explore", "--fps", "50000")

    assert status == 0
    assert flow.calls == [("explore", Path("net.onnx"), CompileOptions(fps=50_000.0))]
    lines = [line for line in stdout.splitlines() if "000" in line]
    assert [("chosen" in line) for line in lines] == [False, True, False]
    assert "nothing was written" in stdout
    document = json.loads(call("compile", "net.onnx", "--explore", "--json")[1])
    assert [point["chosen"] for point in document["points"]] == [False, True, False]
    assert document["points"][0] == {
        "cycles_per_frame": 1000, "throughput_fps": 100_000.0, "latency_us": 20.0, "lut": 9000,
        "ff": 7000, "dsp": 80, "bram36": 3.5, "uram": 0, "chosen": False,
    }  # fmt: skip
    assert document["plot"] is None


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_a_front_is_drawn(
    flow: FakeFlow, call: Any, tmp_path: Path, suffix: str, magic: bytes
) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "new" / f"front{suffix}"

    status, stdout, _ = call("compile", "net.onnx", "--explore", "--plot", path)

    assert status == 0
    assert f"drawn to {path}" in stdout
    assert path.read_bytes().startswith(magic)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_without_matplotlib_nothing_is_begun(
    flow: FakeFlow, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    status, _, stderr = call("compile", "net.onnx", "--explore", "--plot", tmp_path / "x.png")

    assert status == 9
    assert stderr.startswith("error[tool-missing]")
    assert "hint: pip install 'lepton-edge[report]'" in stderr
    assert flow.calls == []


USAGE = [
    ("compile",),
    ("compile", "net.onnx"),
    ("compile", "net.onnx", "-o"),
    ("compile", "net.onnx", "-o", "x", "--target", "cuda"),
    ("compile", "net.onnx", "-o", "x", "--target", "fpag"),
    ("compile", "net.onnx", "-o", "x", "--quantize", "w4a4"),
    ("compile", "net.onnx", "-o", "x", "--fps", "0"),
    ("compile", "net.onnx", "-o", "x", "--fps", "nan"),
    ("compile", "net.onnx", "-o", "x", "--fps", "fast"),
    ("compile", "net.onnx", "-o", "x", "--latency-us=-1"),
    ("compile", "net.onnx", "-o", "x", "--fps", "9", "--latency-us", "9"),
    ("compile", "net.onnx", "-o", "x", "--samples", "0"),
    ("compile", "net.onnx", "-o", "x", "--dsp=-1"),
    ("compile", "net.onnx", "-o", "x", "--explore"),
    ("compile", "net.onnx", "-o", "x", "--plot", "x.png"),
    ("compile", "net.onnx", "--explore", "--plot", "x.gif"),
    ("compile", "net.onnx", "-o", "x", "--colour", "red"),
    ("run", "x", "--input", "y.npz", "--level", "c-sim"),
    ("run", "x"),
    ("verify", "x", "--samples", "many"),
    ("boards", "pynq-z3"),
    ("boards", "mine.toml"),
    ("explain", "does-not-fti"),
    ("deploy", "x"),
    ("--colour",),
]


@pytest.mark.parametrize("argv", USAGE, ids=" ".join)
def test_usage_errors_are_clean(argv: tuple[str, ...], flow: FakeFlow, call: Any) -> None:
    status, stdout, stderr = call(*argv)

    assert (status, stdout) == (2, "")
    assert re.match(r"error\[(user|unknown-name)\]: .+\nhint: .+\n\Z", stderr)
    assert flow.calls == []


@pytest.mark.parametrize("argv", [words for words in USAGE if len(words) > 1], ids=" ".join)
def test_usage_errors_as_json(argv: tuple[str, ...], call: Any) -> None:
    argv = argv if argv[-1] != "-o" else (*argv, "x", "--fps", "-")

    status, stdout, stderr = call(*argv, "--json")

    assert (status, stderr) == (2, "")
    error = json.loads(stdout)["error"]
    assert sorted(error) == ["code", "hint", "what", "where"]
    assert error["code"] in ("user", "unknown-name")


def test_usage_messages_are_golden(call: Any, golden: Callable[[str, str], None]) -> None:
    ours = [argv for argv in USAGE if not {"many", "fast", "w4a4"} & {*argv}]

    texts = [f"$ lepton-edge {' '.join(argv)}\n{call(*argv)[2]}" for argv in ours]

    golden("messages/usage.txt", "\n".join(texts))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ImportModelError("not ONNX", where="net.onnx", hint="export it again"), 3),
        (DoesNotFitError("needs 61,000 LUT; pynq-z2 has 53,200", hint="--fps 900"), 8),
    ],
)
def test_errors_have_their_status(
    error: Any, status: int, flow: FakeFlow, call: Any, tmp_path: Path
) -> None:
    flow.error = error

    plain = call("compile", "net.onnx", "-q", "-o", tmp_path / "net")
    as_json = call("compile", "net.onnx", "-q", "--json", "-o", tmp_path / "net")

    assert plain == (status, "", f"error[{error.code}]: {error}\n")
    assert (as_json[0], as_json[2]) == (status, "")
    assert json.loads(as_json[1]) == {
        "error": {
            "code": error.code,
            "what": error.what,
            "where": error.where,
            "hint": error.hint,
        }
    }


@pytest.mark.parametrize("error", [KeyError("conv1"), InternalError("two ops are named 'Add'")])
def test_our_own_faults_leave_a_log_and_no_traceback(
    error: Exception, flow: FakeFlow, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    flow.error = error

    status, stdout, stderr = call("compile", "net.onnx", "-q", "-o", tmp_path / "net")

    (log,) = tmp_path.glob("lepton-edge-*.log")
    assert (status, stdout) == (70, "")
    assert stderr.startswith("error[internal]: ")
    assert "conv1" in stderr or "two ops are named 'Add'" in stderr
    assert f"the full traceback is in {log}" in stderr
    assert "Traceback" not in stderr
    assert "Traceback" in log.read_text()
    assert "compile net.onnx" in log.read_text()


def test_an_interrupt_is_130(flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    flow.error = KeyboardInterrupt()

    assert call("compile", "net.onnx", "-q", "-o", tmp_path / "n") == (130, "", "interrupted\n")
    status, stdout, _ = call("compile", "net.onnx", "--json", "-o", tmp_path / "n")
    assert status == 130
    assert json.loads(stdout)["error"]["code"] == "interrupted"


def test_an_interrupt_while_we_are_imported(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting:
        @staticmethod
        def find_spec(name: str, *_: Any) -> None:
            if name == "lepton_edge.cli.launch":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "lepton_edge.cli.launch")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])

    assert call("boards") == (130, "", "interrupted\n")


@pytest.mark.parametrize(
    "words",
    [
        ("compile", "x" * 300, "-o", "out"),
        ("verify", "x" * 300),
        ("build", "x" * 300),
        ("run", "x" * 300, "--input", "x.npz"),
    ],
)
def test_names_too_long_for_a_file(words: tuple[str, ...], call: Any) -> None:
    status, _, err = call(*words)
    assert status in (2, 3, 10)
    assert "File name too long" in err


def test_a_foreign_directory_is_refused(flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")

    status, _, stderr = call("compile", "net.onnx", "-q", "-o", tmp_path)

    assert status == 2
    assert stderr.startswith(f"error[user]: {tmp_path}: the directory is not empty")


# run, verify


def test_run_prints_a_summary(artifact: Path, flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.eye(4, dtype=np.int8))

    status, stdout, _ = call("run", artifact, "--input", tmp_path / "x.npz")

    assert status == 0
    assert stdout.splitlines() == [
        "x: int8[4, 4], 4 samples, computed by csim",
        "  highest at index: 0  1  2  3",
    ]
    assert flow.calls[0][2] == "csim"


def test_run_writes_outputs(artifact: Path, flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.int8))
    output = artifact / "y.npz"

    status, stdout, _ = call(
        "run", artifact, "--input", tmp_path / "x.npy", "--level", "reference", "--output", output,
        "--json",
    )  # fmt: skip

    assert status == 0
    assert json.loads(stdout)["output"] == str(output)
    with np.load(output) as found:
        assert np.array_equal(found["x"], np.eye(4))


def test_a_bad_output_is_found_before_the_run(
    artifact: Path, flow: FakeFlow, call: Any, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.int8))

    status, _, stderr = call("run", artifact, "--input", tmp_path / "x.npy", "--output", "y.csv")

    assert status == 2
    assert "outputs are written as .npz or .npy, not .csv" in stderr
    assert flow.calls == []


def test_what_is_no_artifact_has_status_10(flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    status, _, stderr = call("run", tmp_path / "net", "--input", "x.npz")

    assert status == 10
    assert stderr.startswith(f"error[artifact]: {tmp_path / 'net'}: wanted an artifact directory")


def test_verify_shows_each_level(artifact: Path, flow: FakeFlow, call: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.eye(4, dtype=np.int8))

    status, stdout, _ = call("verify", artifact, "--samples", "9", "--input", tmp_path / "x.npy")

    assert status == 0
    assert "same bits" in stdout
    assert flow.calls[0][1] == 9
    assert list(flow.calls[0][2]) == ["x"]


def test_verify_that_finds_a_difference(artifact: Path, flow: FakeFlow, call: Any) -> None:
    flow.error = VerifyError("3 of 100 samples differ", where="csim", hint="report it")

    status, stdout, stderr = call("verify", artifact)
    as_json = call("verify", artifact, "--json")

    assert status == as_json[0] == 6
    assert "DIFFERS" in stdout
    assert stderr == "error[verify]: csim: 3 of 100 samples differ\nhint: report it\n"
    assert json.loads(as_json[1])["error"]["code"] == "verify"


# boards, doctor, explain, help


@pytest.mark.parametrize("argv", [("boards",), ("boards", "kv260"), ("doctor",), ("explain",)])
def test_lists_are_one_object_with_json(argv: tuple[str, ...], call: Any) -> None:
    assert isinstance(json.loads(call(*argv, "--json", "--quiet")[1]), dict)


def test_boards_are_listed_and_shown(call: Any) -> None:
    assert "pynq-z2" in call("boards")[1]
    assert "raspberry-pi-5" in call("boards")[1]
    assert "DS190" in call("boards", "pynq-z2")[1]
    assert "Cortex-A76" in call("boards", "raspberry-pi-5")[1]
    assert json.loads(call("boards", "pynq-z2", "--json")[1])["board"]["resources"]["lut"] == 53_200


def test_doctor_fails_where_the_main_job_cannot_be_done(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lepton_edge.toolchain.find.find_command", lambda _: None)

    status, stdout, _ = call("doctor")

    assert status == 9
    assert "NEEDED  g++" in stdout
    assert "g++: apt-get install g++" in stdout
    assert json.loads(call("doctor", "--json")[1])["ok"] is False


def test_explain_tells_meaning_status_and_causes(call: Any) -> None:
    status, stdout, _ = call("explain", "does-not-fit")

    assert status == 0
    assert "exit status 8" in stdout
    assert "typical causes" in stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, call: Any) -> None:
    status, stdout, stderr = call(command, "--help")

    assert (status, stderr) == (0, "")
    assert "--json" in stdout
    assert "--quiet" in stdout
    assert f"Example:\n    lepton-edge {command}" in stdout


def test_help_lists_these_commands(call: Any) -> None:
    status, stdout, _ = call("--help")

    listed = re.findall(r"^  ([a-z-]+)  +[A-Z]", stdout.split("Commands:")[1], re.MULTILINE)
    assert status == 0
    assert listed == [*COMMANDS]
    assert "..." not in stdout.split("Commands:")[1]
    assert call()[:2] == (0, stdout)


def test_version(call: Any) -> None:
    assert call("--version")[:2] == (0, f"lepton-edge {__version__}\n")


# as a process


def test_help_is_quick() -> None:
    best = 9.0
    for _ in range(3):
        began = time.monotonic()
        start("--help").communicate()
        best = min(best, time.monotonic() - began)

    assert best < 1.0  # 0.15 s on an idle machine; half a second is promised


def test_a_closed_pipe_is_no_error() -> None:
    process = start("boards", "pynq-z2")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stream:
        errors = stream.read()
    process.wait()

    assert errors == ""
    assert process.returncode in (0, 1, 141)


def test_an_ascii_terminal_is_no_error() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}

    process = start("boards", env=environment)
    stdout, stderr = process.communicate()

    assert (process.returncode, stderr) == (0, "")
    assert "pynq-z2" in stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(closed: str) -> None:
    code = "import sys; from lepton_edge.cli import main; sys.exit(main(['doctor', '--json']))"
    command = f'"{sys.executable}" -c "{code}" {closed}'

    result = subprocess.run(
        command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode in (0, 9)
    assert "Traceback" not in result.stderr


def test_sigterm_ends_a_command_with_143(tmp_path: Path) -> None:
    (tmp_path / "g++").write_text("#!/bin/sh\nexec sleep 30\n")
    (tmp_path / "g++").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    process = start("doctor", env=environment)
    assert process.stderr is not None
    assert "look for tools" in process.stderr.readline()

    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=10)

    assert process.returncode == 143
    assert "Traceback" not in stderr

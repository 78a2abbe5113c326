"""The whole product, as its users meet it: small models, and two ways to call the commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lepton_edge.cli import main

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"
LAUNCH = "import sys; from lepton_edge.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error message, without the progress before it; it must be one, and clean."""
        assert "Traceback" not in self.out + self.err
        found = re.search(r"^error\[[a-z-]+\]: .+\Z", self.err, re.DOTALL | re.MULTILINE)
        assert found, f"no error message in {self.err!r}"
        assert self.err.count("error[") == 1
        assert "error[internal]" not in self.err
        return found.group()


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command in this process."""

    def run(*argv: object) -> Ended:
        capfd.readouterr()
        status = main([str(word) for word in argv])
        return Ended(status, *capfd.readouterr())

    return run


def command(*argv: object) -> list[str]:
    return [sys.executable, "-c", LAUNCH, *map(str, argv)]


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Ended]:
    """Run a command in a process of its own."""

    def run(*argv: object, env: dict[str, str] | None = None, **options: Any) -> Ended:
        options = {"cwd": ROOT, "timeout": 60, **options}
        done = subprocess.run(
            command(*argv), capture_output=True, check=False, env=os.environ | (env or {}),
            stdin=subprocess.DEVNULL, **options,
        )  # fmt: skip
        return Ended(
            done.returncode, *(s.decode(errors="replace") for s in (done.stdout, done.stderr))
        )

    return run


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    """Start a command in a process of its own."""

    def popen(*argv: object, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command(*argv), cwd=ROOT, env=os.environ | (env or {}), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return popen


@dataclass(frozen=True)
class Job:
    """A model on disk with data for it."""

    model: Path
    calibration: Path
    inputs: Path

    @property
    def words(self) -> tuple[object, ...]:
        """The arguments of compile, but for -o."""
        return (self.model, "--calibration", self.calibration)


def save_onnx(
    path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: list[str], **constants: Any
) -> Path:
    """Write a model of float inputs; an input's shape, or (type, shape), is given by its name."""
    given = {k: v if isinstance(v, tuple) else (TensorProto.FLOAT, v) for k, v in inputs.items()}
    graph = helper.make_graph(
        [helper.make_node(op, i, o, name=name, **attrs) for op, i, o, name, attrs in nodes],
        path.stem,
        [helper.make_tensor_value_info(name, *spec) for name, spec in given.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(a), k) for k, a in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.fixture(scope="session")
def mlp(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Give a network of two dense layers, 16 → 8 → 4."""
    folder, rng = tmp_path_factory.mktemp("mlp"), np.random.default_rng(0)

    def floats(*shape: int) -> Any:
        return rng.normal(size=shape).astype(np.float32)

    model = save_onnx(
        folder / "mlp.onnx",
        [
            ("Gemm", ["x", "w"], ["a"], "first", {}),
            ("Relu", ["a"], ["f"], "act", {}),
            ("Gemm", ["f", "v"], ["y"], "second", {}),
        ],
        {"x": ["N", 16]}, ["y"], w=floats(16, 8), v=floats(8, 4),
    )  # fmt: skip
    for name, count in (("calibration", 16), ("inputs", 5)):
        np.savez(folder / f"{name}.npz", x=floats(count, 16))
    return Job(model, folder / "calibration.npz", folder / "inputs.npz")


@pytest.fixture(scope="session")
def digits() -> Job:
    """Give the shipped example."""
    names = ("digits.onnx", "calibration.npz", "test_inputs.npz")
    return Job(*(DIGITS / name for name in names))


def tree(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder with what they hold, and its directories."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


@pytest.fixture
def artifact(mlp: Job, tmp_path: Path, call: Callable[..., Ended]) -> Path:
    """Give a finished artifact of the small network, the only thing in its directory."""
    path = tmp_path / "out" / "mlp"
    assert call("compile", *mlp.words, "--quiet", "-o", path).status == 0
    return path


@pytest.fixture
def helpers() -> Any:
    """Give the functions that test files share."""

    class Helpers:
        save_onnx = staticmethod(save_onnx)
        tree = staticmethod(tree)

        @staticmethod
        def json_of(ended: Ended) -> Any:
            return json.loads(ended.out)

    return Helpers

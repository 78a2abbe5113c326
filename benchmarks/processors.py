"""Latency on this computer's processor, beside onnxruntime's on the same model, in one run.

    python -m benchmarks.processors                # all networks
    python -m benchmarks.processors mlperf_ic_resnet8_int8_qdq

Batch 1, median of many runs: a quarter of a second of ours, one of theirs, and so on. Float models
are also quantised by onnxruntime (QDQ, unsigned activations, signed weights for each channel), and
both then run the result.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from benchmarks.networks import shared
from lepton_edge.flow import CompileOptions, compile_model
from lepton_edge.flow.processor import session

SMALL = (
    "mlperf_ic_resnet8_int8_qdq",
    "mlperf_ic_resnet8_fp32",
    "mlperf_kws_dscnn_int8_qdq",
    "mlperf_kws_dscnn_fp32",
    "mlperf_ad_fcae_int8_qdq",
    "mlperf_ad_fcae_fp32",
    "ort_mnist_conv_op8_fp32",
    "ort_mnist_conv_op8_int8",
    "nxp_cifarnet_fp32",
    "nxp_cifarnet_int8",
)
LARGE = ("mobilenet_v2_fp32", "mobilenet_v2_int8", "resnet18_fp32", "resnet18_int8")


@dataclass(frozen=True)
class Line:
    """A network's figures, in microseconds and seconds."""

    name: str
    ours_us: float
    theirs_us: float
    compile_s: float

    @property
    def ratio(self) -> float:
        """Our latency as a part of theirs."""
        return self.ours_us / self.theirs_us


class RandomInputs(CalibrationDataReader):
    """Inputs that set the ranges of a network."""

    def __init__(self, path: Path, count: int = 8) -> None:
        self._left = iter([feed(path, seed) for seed in range(count)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next inputs."""
        return next(self._left, None)


def feed(path: Path, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random inputs of a network."""
    rng = np.random.default_rng(seed)
    found: dict[str, np.ndarray] = {}
    for given in ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs():
        shape = [d if isinstance(d, int) else 1 for d in given.shape]
        if given.type == "tensor(float)":
            found[given.name] = rng.standard_normal(shape).astype(np.float32)
        else:
            found[given.name] = rng.integers(-128, 128, shape).astype(np.int8)
    return found


def model(name: str, folder: Path) -> Path:
    """Return the file of a network, made now if it is not one of the shared ones."""
    stored = shared() / "models" / f"{name}.onnx"
    if stored.is_file():
        return stored
    path = folder / f"{name}.onnx"
    if path.is_file():
        return path
    base, _, kind = name.rpartition("_")
    if kind == "int8":
        source = model(f"{base}_fp32", folder)
        has_axis = onnx.load(str(source), load_external_data=False).opset_import[0].version >= 13
        quantize_static(
            str(source), str(path), RandomInputs(source), quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=has_axis,
        )  # fmt: skip
    elif base == "nxp_cifarnet":
        _export_cifarnet(path)
    else:
        from benchmarks.imagenet_sized import export

        export(base, path)
    return path


def _export_cifarnet(path: Path) -> None:
    import importlib.util

    import torch

    source = shared() / "models" / "nxp_cifarnet_model.py"
    spec = importlib.util.spec_from_file_location("cifarnet", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kind = next(
        v for v in vars(module).values() if isinstance(v, type) and issubclass(v, torch.nn.Module)
    )
    network = kind().eval()
    state = torch.load(source.with_name("nxp_cifarnet_state_dict.pt"), weights_only=True)
    network.load_state_dict(state)
    torch.onnx.export(network, (torch.zeros(1, 3, 32, 32),), str(path), dynamo=False)


TURN_S, PAUSE_S = 0.25, 0.05
"""How long each runs at once, and what the other's threads are given to fall asleep."""


def medians(functions: list[Callable[[], object]], seconds: float) -> list[float]:
    """Return the median times of functions that take turns, in microseconds."""
    times: list[list[float]] = [[] for _ in functions]
    clock = time.perf_counter
    for _ in range(max(2, round(seconds / (TURN_S * len(functions))))):
        for function, found in zip(functions, times, strict=True):
            time.sleep(PAUSE_S)
            function()
            end = clock() + TURN_S
            while clock() < end:
                begin = clock()
                function()
                found.append(clock() - begin)
    return [1e6 * statistics.median(found) for found in times]


def compared(name: str, folder: Path, threads: int, seconds: float) -> Line:
    """Return a network's figures."""
    path = model(name, folder)
    inputs = feed(path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    theirs = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    artifact = compile_model(path, folder / name, CompileOptions(target="cpu", samples=2))
    metric = artifact.report.metric("compile_s")
    ours = session(artifact.root, artifact.manifest, threads)
    arrays = {place.value: inputs[place.value] for place in ours.layout.inputs}
    ours_us, theirs_us = medians(
        [lambda: ours.run(arrays), lambda: theirs.run(None, inputs)], seconds
    )
    return Line(name, ours_us, theirs_us, metric.value if metric else math.nan)


def lines(names: list[str], threads: int, seconds: float) -> Iterator[Line]:
    """Yield the figures of networks."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            yield compared(name, Path(scratch), threads, seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", str(given.threads))
    print(f"onnxruntime {ort.__version__}, {given.threads} thread(s)\n")
    print("| network | ours µs | onnxruntime µs | ours / onnxruntime | compile s |")
    print("|---|---|---|---|---|")
    ratios: list[float] = []
    for line in lines(given.networks or [*SMALL, *LARGE], given.threads, given.seconds):
        ratios.append(line.ratio)
        print(
            f"| {line.name} | {line.ours_us:,.1f} | {line.theirs_us:,.1f} | {line.ratio:.2f} "
            f"| {line.compile_s:.1f} |",
            flush=True,
        )
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    print(f"\ngeometric mean {mean:.2f}, most {max(ratios):.2f}")


if __name__ == "__main__":
    main()

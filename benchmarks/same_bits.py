"""The quantised networks on every kind of processor, compared with the interpreter bit for bit.

    python -m benchmarks.same_bits [--samples 200]

Arm's processors are emulated; the few-bit networks read floats, and give them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.networks import shared
from lepton_edge.flow import Artifact, CompileOptions, compile_model

TARGETS = (
    ("cpu", None),
    ("arm", "raspberry-pi-4"),
    ("arm", "raspberry-pi-5"),
    ("arm", "raspberry-pi-zero-2"),
    ("arm", "pynq-z2"),
)
MODELS = (
    "mlperf_ic_resnet8_int8_qdq",
    "mlperf_kws_dscnn_int8_qdq",
    "mlperf_ad_fcae_int8_qdq",
    "tflm_sine_mlp_int8_qdq",
    "zoo_tfc_1w1a_qonnx",
    "zoo_tfc_1w2a_qonnx",
    "zoo_tfc_2w2a_qonnx",
    "zoo_jettagging_qonnx",
    "mlperf_ic_resnet8_fp32",
    "mlperf_kws_dscnn_fp32",
    "mlperf_ad_fcae_fp32",
    "ort_mnist_conv_op8_fp32",
    "tflm_sine_mlp_fp32",
    "exm_three_layer_keras",
)


def cell(artifact: Artifact, samples: int) -> str:
    """Return how many samples agree."""
    report = artifact.verify(samples)
    (row,) = (row for row in report.verification if row.level == "device")
    return f"{row.samples - row.mismatches:,} of {row.samples:,}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200)
    given = parser.parse_args()
    names = [board or target for target, board in TARGETS]
    print(
        f"| network | {' | '.join(names)} | activations / bound |\n|---|{'---|' * (len(names) + 1)}"
    )
    for model in MODELS:
        cells: list[str] = []
        memory = ""
        for target, board in TARGETS:
            with tempfile.TemporaryDirectory() as scratch:
                options = CompileOptions(target=target, board=board, samples=1)
                path = shared() / "models" / f"{model}.onnx"
                artifact = compile_model(path, Path(scratch) / "a", options)
                cells.append(cell(artifact, given.samples))
                plan, bound = (
                    artifact.report.metric(n)
                    for n in ("activation_bytes", "activation_bound_bytes")
                )
                if plan and bound:
                    memory = f"{plan.value:,.0f} / {bound.value:,.0f}"
        print(f"| {model} | {' | '.join(cells)} | {memory} |", flush=True)


if __name__ == "__main__":
    main()

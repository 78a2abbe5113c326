"""The third-party networks and data that the benchmarks use, found through LEPTON_SHARED."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


def shared() -> Path:
    """Return the folder of networks and data; end with a message where there is none."""
    folder = Path(os.environ.get("LEPTON_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "models").is_dir():
        raise SystemExit(f"no models below {folder}: set LEPTON_SHARED")
    return folder


@dataclass(frozen=True)
class Case:
    """A network with inputs.

    Args:
        name: file name without its ending.
        calibration: inputs that set the ranges.
        inputs: inputs to judge by, none of them in ``calibration``.
        labels: classes; None where outputs are compared instead.
    """

    name: str
    calibration: Array
    inputs: Array
    labels: Array | None

    @property
    def path(self) -> Path:
        """The network's file."""
        return shared() / "models" / f"{self.name}.onnx"


def _load(name: str) -> dict[str, Array]:
    with np.load(shared() / "data" / name, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def _keywords_as_float(codes: Array) -> Array:
    """Return the float network's input for the int8 network's codes (its scale and zero point)."""
    return ((codes.astype(np.float32) - 83) * np.float32(0.5847029)).astype(np.float32)


def float_cases(count: int) -> list[Case]:
    """Return the float networks with real inputs."""
    cifar = _load("cifar10_lossless_train4000.npz")
    pixels = cifar["x"].transpose(0, 3, 1, 2).astype(np.float32)
    words = _load("mlperf_kws01_mfcc_int8.npz")
    train, test = _load("mnist_train.npz"), _load("mnist_test.npz")
    digits = [
        x[:, np.newaxis].astype(np.float32) / 255 for x in (train["x"][:200], test["x"][:count])
    ]
    # There are 1,000 keyword samples in all: those that calibrate are judged as well.
    keywords = _keywords_as_float(words["x"])
    spectra = anomaly_inputs(count + 200)
    return [
        Case(
            "mlperf_ic_resnet8_fp32",
            pixels[:200],
            pixels[200 : 200 + count],
            cifar["y"][200 : 200 + count],
        ),
        Case("mlperf_kws_dscnn_fp32", keywords[:200], keywords[:count], words["y"][:count]),
        Case("ort_mnist_conv_op8_fp32", digits[0], digits[1], test["y"][:count]),
        Case("mlperf_ad_fcae_fp32", spectra[:200], spectra[200:], None),
    ]


def quantized_cases(count: int) -> list[Case]:
    """Return the int8 networks with inputs: real ones where there are any."""
    cifar = _load("cifar10_lossless_train4000.npz")
    words = _load("mlperf_kws01_mfcc_int8.npz")
    images = (cifar["x"][:count].astype(np.int16) - 128).astype(np.int8)
    spectra = np.clip(np.rint(anomaly_inputs(count) / 0.391015) + 89, -128, 127).astype(np.int8)
    angles = np.resize(np.arange(-128, 128), (count, 1)).astype(np.int8)
    return [
        Case("mlperf_ic_resnet8_int8_qdq", images[:32], images, cifar["y"][:count]),
        Case("mlperf_kws_dscnn_int8_qdq", words["x"][:32], words["x"][:count], words["y"][:count]),
        Case("mlperf_ad_fcae_int8_qdq", spectra[:32], spectra, None),
        Case("tflm_sine_mlp_int8_qdq", angles[:32], angles, None),
    ]


def few_bit_cases(count: int) -> list[Case]:
    """Return the networks that were trained with one and two bits, with real images."""
    train, test = _load("mnist_train.npz"), _load("mnist_test.npz")
    calibration, images = (
        x[:, np.newaxis].astype(np.float32) / 255 for x in (train["x"][:32], test["x"][:count])
    )
    return [
        Case(f"zoo_tfc_{bits}_qonnx", calibration, images, test["y"][:count])
        for bits in ("1w1a", "1w2a", "2w2a")
    ]


def anomaly_inputs(count: int) -> Array:
    """Return log-mel-like frames for the autoencoder: five stacked frames of 128 bands of sound.

    No machine sounds are at hand, so the frames come from spoken digits: the energies in 128
    mel-spaced bands of 64 ms windows, in decibels, as the network's own front end computes them.
    """
    sound = _load("fsdd_8khz_1s_int16.npz")["x"].astype(np.float64) / 32768
    rng = np.random.default_rng(7)
    window, hop, bands = 512, 256, 128
    mel = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), bands + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(window, 1 / 8000)
    rise = (bins - mel[:-2, None]) / (mel[1:-1] - mel[:-2])[:, None]
    fall = (mel[2:, None] - bins) / (mel[2:] - mel[1:-1])[:, None]
    filters = np.maximum(0, np.minimum(rise, fall))
    frames = []
    for clip in sound[rng.permutation(len(sound))]:
        starts = range(0, len(clip) - window, hop)
        spectrum = np.abs(
            np.fft.rfft(np.stack([clip[s : s + window] * np.hanning(window) for s in starts]))
        )
        level = 20 * np.log10(np.maximum(spectrum**2 @ filters.T, 1e-8)) / 2
        frames += [level[i : i + 5].reshape(-1) for i in range(0, len(level) - 5, 5)]
        if len(frames) >= count:
            break
    return np.stack(frames[:count]).astype(np.float32)

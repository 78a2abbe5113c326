"""What the user asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_BOARD = "pynq-z2"
PROCESSORS = ("cpu", "arm")
"""Targets that run programs; the others are hardware designs."""

LEVELS = ("reference", "csim", "rtl", "device")
"""Forms of a network that this machine may run, from the judge to the hardware."""

LEVELS_OF = {"fpga": LEVELS[:3], **dict.fromkeys(PROCESSORS, ("reference", "device"))}
"""Those that a target has."""

GOLDEN_FRAMES = 8
"""Frames that travel with the project's own testbench."""

SOURCE_FOLDERS = ("hls/src", "hls/include", "hls/sim", "rtl")
"""Folders in an artifact whose files are compiled for simulation."""

KEPT_SAMPLES = 128
"""Samples that an artifact keeps for later verification."""


@dataclass(frozen=True)
class CompileOptions:
    """What ``compile`` is asked for.

    Args:
        target: kind of device: fpga, arm, or cpu for the processor of this computer.
        board: a known board or computer, or a .toml file; the target's usual one when None.
        calibration: .npz or .npy with real inputs.
        quantize: auto, none or int8.
        observer: minmax, percentile or mse.
        equalize: cross-layer equalisation before quantisation.
        correct_bias: bias correction after quantisation.
        fps: frames a second to reach.
        latency_us: latency to stay within.
        clock_mhz: clock; the board's default when None.
        folding: TOML with pinned foldings.
        lut: most look-up tables; a share of the board when None.
        dsp: most multiplier blocks.
        bram: most block RAM, in units of 36 kbit.
        samples: frames to prove in C simulation.
        csim: run C simulation.
        keep_stages: save the graph after each pass.
    """

    target: str = "fpga"
    board: str | None = None
    calibration: Path | str | None = None
    quantize: str = "auto"
    observer: str = "minmax"
    equalize: bool = False
    correct_bias: bool = False
    fps: float | None = None
    latency_us: float | None = None
    clock_mhz: float | None = None
    folding: Path | str | None = None
    lut: int | None = None
    dsp: int | None = None
    bram: float | None = None
    samples: int = 32
    csim: bool = True
    keep_stages: bool = False

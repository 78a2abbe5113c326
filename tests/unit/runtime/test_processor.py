"""A compiled network in memory: what it refuses, and what it gives."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import lepton_edge
from lepton_edge.errors import DeviceError
from lepton_edge.runtime.processor import Layout, Place, Session, processor_features
from lepton_edge.toolchain.linker import link_library
from tests.conftest import find_tool

pytestmark = pytest.mark.skipif(find_tool("g++") is None, reason="needs g++")

THREADS = Path(lepton_edge.__file__).parent / "backends" / "tvm" / "threads.cpp"

DOUBLE = """
extern "C" void lepton_barrier(int *barrier, int parts);
extern "C" void lepton_entry(
    unsigned char *arena, const unsigned char *weights, int part, int parts, int *barrier) {
    for (int i = part; i < 4; i += parts) arena[64 + i] = arena[i] * weights[0];
    lepton_barrier(barrier, parts);
    for (int i = part; i < 4; i += parts) arena[96 + i] = arena[64 + 3 - i];
    lepton_barrier(barrier, parts);
    if (part == 0) for (int i = 0; i < 4; ++i) arena[64 + i] = arena[96 + 3 - i];
}
"""
LAYOUT = Layout(128, (Place("x", "uint8", (1, 4), 0),), (Place("y", "uint8", (1, 4), 64),))


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "double.cpp").write_text(DOUBLE)
    (tmp_path / "weights.bin").write_bytes(b"\x02")
    shutil.copy(THREADS, tmp_path / "threads.cpp")
    library = tmp_path / "network.so"
    link_library([tmp_path / "double.cpp", tmp_path / "threads.cpp"], library)
    return library, tmp_path / "weights.bin"


def test_frames_go_through_one_after_the_other(files: tuple[Path, Path]) -> None:
    session = Session(*files, LAYOUT)
    x = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert session.run({"x": x})["y"].tolist() == (2 * x).tolist()
    assert len(session.benchmark(5)) == 5


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_share_the_work_and_wait_for_each_other(
    files: tuple[Path, Path], threads: int
) -> None:
    session = Session(*files, LAYOUT, threads)
    x = np.random.default_rng(0).integers(0, 100, (2000, 4)).astype(np.uint8)
    assert session.run({"x": x})["y"].tolist() == (2 * x).tolist()
    time.sleep(0.2)  # by now the others sleep
    assert session.run({"x": x})["y"].tolist() == (2 * x).tolist()


def test_inputs_without_a_batch_are_one_frame(files: tuple[Path, Path]) -> None:
    places = [replace(p, shape=(4,)) for p in (*LAYOUT.inputs, *LAYOUT.outputs)]
    session = Session(*files, Layout(128, (places[0],), (places[1],)))
    assert session.run({"x": np.arange(4, dtype=np.uint8)})["y"].tolist() == [0, 2, 4, 6]


def test_a_processor_that_lacks_something_is_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(DeviceError, match="this processor lacks warp_drive") as error:
        Session(*files, replace(LAYOUT, features=("warp_drive",)))
    assert "compile the model on this computer" in error.value.hint
    assert processor_features()


def test_damaged_files_are_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    with pytest.raises(DeviceError, match="damaged"):
        Session(broken, files[1], LAYOUT)
    with pytest.raises(DeviceError, match="damaged"):
        Session(files[0], tmp_path / "nothing.bin", LAYOUT)


def test_places_outside_the_arena_are_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(DeviceError, match="'y' does not lie in the arena of 64 bytes"):
        Session(*files, replace(LAYOUT, arena_bytes=64))

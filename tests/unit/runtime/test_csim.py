"""Driving a compiled design: arrays in, arrays out, and what is said when it stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lepton_edge.errors import DeviceError
from lepton_edge.runtime.csim import CHUNK, FRAMES_AT_ONCE, CSimulation, PortSpec
from lepton_edge.toolchain.gxx import build_library

pytestmark = pytest.mark.needs("g++")

DESIGN = """\
#include <cstdio>
// Two inputs of 3 and 1 elements; gives their sums, and how many frames a call had.
extern "C" int lepton_csim(const void* const* inputs, void* const* outputs, unsigned frames,
                           unsigned at_once, unsigned* design_id, char* message, unsigned size) {
    const signed char* a = static_cast<const signed char*>(inputs[0]);
    const unsigned short* b = static_cast<const unsigned short*>(inputs[1]);
    int* sum = static_cast<int*>(outputs[0]);
    unsigned char* calls = static_cast<unsigned char*>(outputs[1]);
    for (unsigned f = 0; f < frames; ++f) {
        for (unsigned i = 0; i < 3; ++i) sum[3 * f + i] = a[3 * f + i] + b[f];
        calls[f] = 16 * at_once + frames % 16;
        if (b[f] == 666) { std::snprintf(message, size, "read from empty stream 'x'"); return 1; }
    }
    *design_id = 0xabcd1234u;
    return 0;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("design")
    (root / "design.cpp").write_text(DESIGN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        return build_library(root, ["design.cpp"], [])


def simulation(library: Path, design_id: int = 0xABCD1234) -> CSimulation:
    inputs = PortSpec("a_in0", "a", "<i1", 3, 3), PortSpec("b_in1", "b", "<u2", 1, 1)
    outputs = PortSpec("s_out0", "sum", "<i4", 3, 1), PortSpec("c_out1", "calls", "<u1", 1, 1)
    return CSimulation(library, inputs, outputs, design_id)


def frames(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "b": rng.integers(1000, 60_000, (count, 1)),
        "a": rng.integers(-128, 128, (count, 1, 3, 1)),
        "unused": np.zeros((count, 1)),
    }


@pytest.mark.parametrize("count", [1, 2, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_any_number_of_frames_in_order(library: Path, count: int) -> None:
    arrays = frames(count)
    told: list[tuple[int, int]] = []
    results = simulation(library).run(arrays, lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(results["sum"], arrays["a"].reshape(count, 3) + arrays["b"])
    assert results["sum"].dtype == np.int32
    assert [done for done, _ in told] == [*range(CHUNK, count, CHUNK), count]
    assert {total for _, total in told} == {count}
    assert set((results["calls"] // 16).ravel().tolist()) == {FRAMES_AT_ONCE}


def test_a_design_that_stops_says_why(library: Path) -> None:
    arrays = frames(40)
    arrays["b"][21] = 666
    with pytest.raises(DeviceError) as caught:
        simulation(library).run(arrays)
    assert caught.value.what == "C simulation stopped: read from empty stream 'x'"
    assert caught.value.where == str(library)


def test_another_design_is_refused(library: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        simulation(library, 0x12).run(frames(3))
    assert "abcd1234; wanted 00000012" in caught.value.what
    assert "compile the model again" in caught.value.hint


def test_a_damaged_library_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.so"
    damaged.write_bytes(b"\x7fELF nothing")
    with pytest.raises(DeviceError, match="damaged") as caught:
        simulation(damaged)
    assert caught.value.where == str(damaged)

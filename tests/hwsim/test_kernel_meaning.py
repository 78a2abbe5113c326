"""The C++ text of every kernel and its Python meaning are one thing: same values, same order."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lepton_edge.backends.fpga.dataflow import Actor
from lepton_edge.backends.fpga.hls_cpp import stream_word
from lepton_edge.backends.fpga.hls_text import _call_text, _layer_header
from lepton_edge.backends.fpga.kernels.base import Kernel
from lepton_edge.backends.fpga.kernels.plumbing import AxisEnd
from tests.hwsim.kernel_samples import SAMPLES, SHARED, events, inputs

HLS = Path(__file__).resolve().parents[2] / "hls"
FRAMES = 3
FOLDINGS = 3
"""Foldings of a sample that are compiled: the first, the last and one between."""

RECORDING_STREAM = """\
// A stream that records the order in which it is read (2 * id) and written (2 * id + 1).
#pragma once
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <vector>
namespace hls {
inline std::vector<std::int64_t>& order() { static std::vector<std::int64_t> all; return all; }
template <typename T> struct stream {
    std::deque<T> words;
    int id;
    explicit stream(int i) : id(i) {}
    T read() {
        if (words.empty()) throw std::runtime_error("read from an empty stream");
        T word = words.front();
        words.pop_front();
        order().push_back(2 * id);
        return word;
    }
    void write(const T& word) { words.push_back(word); order().push_back(2 * id + 1); }
};
}
"""

PRELUDE = """\
#include <cstdio>
#include <cstdint>
static std::int64_t next_value() {
    std::int64_t value = 0;
    if (std::fread(&value, 8, 1, stdin) != 1) throw std::runtime_error("no more values");
    return value;
}
static void put(std::int64_t value) { std::fwrite(&value, 8, 1, stdout); }
template <typename T, unsigned N> void fill(hls::stream<lepton::Vec<T, N>>& s, unsigned words) {
    for (unsigned i = 0; i < words; ++i) {
        lepton::Vec<T, N> word;
        for (unsigned l = 0; l < N; ++l) word.lane[l] = (long long)(next_value());
        s.words.push_back(word);
    }
}
template <typename T, unsigned N> void drain(hls::stream<lepton::Vec<T, N>>& s) {
    put(s.words.size() * N);
    for (const auto& word : s.words)
        for (unsigned l = 0; l < N; ++l) put((long long)(word.lane[l]));
}
"""


def cases() -> dict[str, Kernel]:
    """Return the samples in some of their foldings; AXI ends have streams of another kind."""
    chosen: dict[str, Kernel] = dict(SHARED)
    for name, kernel in SAMPLES.items():
        if isinstance(kernel, AxisEnd):
            continue
        by_text = {str(k.call): k for k in kernel.foldings()}
        foldings = list(by_text.values())
        picked = {0, len(foldings) // 2, len(foldings) - 1}
        for i in sorted(picked)[:FOLDINGS]:
            chosen[f"{name}_{i}"] = foldings[i]
    return chosen


CASES = cases()


def _case_text(name: str, kernel: Kernel) -> str:
    ins = [f"in{i}" for i in range(len(kernel.inputs))]
    outs = [f"out{i}" for i in range(len(kernel.outputs))]
    actor = Actor(name, kernel, tuple(ins), tuple(outs), name)
    header = _layer_header(actor).replace("#pragma once", "") if kernel.tables else ""
    streams = "".join(
        f"    hls::stream<{stream_word(port)}> {stream}({i});\n"
        for i, (stream, port) in enumerate(
            zip((*ins, *outs), (*kernel.inputs, *kernel.outputs), strict=True)
        )
    )
    fills = "".join(
        f"    fill({s}, {FRAMES * port.words});\n"
        for s, port in zip(ins, kernel.inputs, strict=True)
    )
    drains = "".join(f"    drain({s});\n" for s in outs)
    left = "".join(f"    put({s}.words.size());\n" for s in ins)
    return f"""{header}
static void test_{name}() {{
    const unsigned frames = {FRAMES};
{streams}{fills}    hls::order().clear();
{_call_text(actor)}
{drains}{left}    put(hls::order().size());
    for (auto event : hls::order()) put(event);
}}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[np.ndarray], ...]]:
    """Outputs, left-over words and recorded order of every case, from one program."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed (apt install g++)")
    folder = tmp_path_factory.mktemp("kernels")
    (folder / "hls_stream.h").write_text(RECORDING_STREAM)
    headers = sorted({k.call.header for k in CASES.values()})
    parts = 2  # two compilers at once, on two cores
    names = list(CASES)
    jobs = []
    for part in range(parts):
        mine = names[part::parts]
        text = "#include <ap_int.h>\n#include <hls_stream.h>\n"
        text += "".join(f'#include "lepton/{h}"\n' for h in headers) + PRELUDE
        text += "".join(_case_text(n, CASES[n]) for n in mine)
        text += "int main() {\n" + "".join(f"    test_{n}();\n" for n in mine) + "}\n"
        source = folder / f"part{part}.cpp"
        source.write_text(text)
        # Signed overflow and bad shifts are undefined: stop at them.
        checks = ("-fsanitize=signed-integer-overflow,bounds", "-fno-sanitize-recover=all")
        command = ["g++", "-std=c++14", "-O0", "-Wall", "-Wextra", "-Werror"]
        command += ["-Wno-unknown-pragmas", *checks, f"-I{folder}", f"-I{HLS / 'sim'}"]
        command += [f"-I{HLS / 'include'}", str(source), "-o", str(folder / f"part{part}")]
        jobs.append((mine, subprocess.Popen(command, stderr=subprocess.PIPE, text=True)))
    found = {}
    for part, (mine, job) in enumerate(jobs):
        _, messages = job.communicate(timeout=300)
        assert job.returncode == 0, messages[:4000]
        given = [a.astype("<i8").tobytes() for n in mine for a in inputs(CASES[n], FRAMES)]
        done = subprocess.run(
            [str(folder / f"part{part}")], input=b"".join(given), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()[:4000]
        values = iter(np.frombuffer(done.stdout, "<i8").tolist())

        def array(values=values) -> np.ndarray:
            return np.array([next(values) for _ in range(next(values))], np.int64)

        for name in mine:
            kernel = CASES[name]
            outputs = [array() for _ in kernel.outputs]
            left = [next(values) for _ in kernel.inputs]
            found[name] = outputs, left, array()
        assert next(values, None) is None
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_text_computes_what_evaluate_says(name: str, results: dict) -> None:
    kernel = CASES[name]
    wanted = kernel.evaluate(*inputs(kernel, FRAMES))
    outputs, left, _ = results[name]
    assert left == [0] * len(left), "words of the input were not read"
    for found, expected in zip(outputs, wanted, strict=True):
        np.testing.assert_array_equal(found, expected.reshape(-1))


@pytest.mark.parametrize("name", CASES)
def test_the_text_reads_and_writes_in_the_stated_order(name: str, results: dict) -> None:
    kernel = CASES[name]
    order = results[name][2]
    num_inputs = len(kernel.inputs)
    wanted = [
        2 * port if kind == "read" else 2 * (num_inputs + port) + 1 for kind, port in events(kernel)
    ] * FRAMES
    np.testing.assert_array_equal(order, wanted)

"""Compiles and runs the testbench of every C++ kernel in ``hls/``."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

HLS = Path(__file__).resolve().parents[2] / "hls"
TESTBENCHES = sorted((HLS / "testbench").glob("*_tb.cpp"))
KERNELS = sorted((HLS / "include" / "lepton").glob("*.hpp"))
SUPPORT = {
    "storage",
    "counter",
    "numeric",
    "packed_dot",
    "vec",
}  # shared definitions, tested through `types_tb.cpp` and the kernels

# Warnings are errors, but the `#pragma HLS` lines are not meant for g++.
STRICT = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas")

needs_gxx = pytest.mark.skipif(
    shutil.which("g++") is None, reason="g++ is not installed (apt install g++)"
)


def vendor_types() -> Path | None:
    """Directory of the vendor's ap_types headers inside hls4ml, found without importing it."""
    spec = importlib.util.find_spec("hls4ml")
    if spec is None or spec.origin is None:
        return None
    directory = Path(spec.origin).parent / "templates" / "vivado" / "ap_types"
    return directory if (directory / "ap_int.h").exists() else None


def compile_cpp(source: Path, output: Path, *options: str, includes: tuple[Path, ...]) -> None:
    """Compiles ``source`` to ``output``; a failure shows the compiler's messages."""
    command = ["g++", "-std=c++14", *options]
    for directory in includes:
        command += ["-I", str(directory)]
    done = subprocess.run(
        [*command, str(source), "-o", str(output)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def run_testbench(program: Path) -> None:
    """Runs a testbench; it exits with 0 and one line that counts the compared values."""
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith(" 0 wrong")


def test_every_kernel_has_a_testbench() -> None:
    kernels = {path.stem for path in KERNELS} - SUPPORT
    assert kernels
    assert kernels <= {path.stem.removesuffix("_tb") for path in TESTBENCHES}


@needs_gxx
@pytest.mark.parametrize("header", KERNELS, ids=lambda path: path.stem)
def test_header_stands_alone(header: Path, tmp_path: Path) -> None:
    source = tmp_path / "alone.cpp"
    source.write_text(f"#include <lepton/{header.name}>\n#include <lepton/{header.name}>\n")
    compile_cpp(
        source, tmp_path / "alone.o", "-c", *STRICT, includes=(HLS / "sim", HLS / "include")
    )


@needs_gxx
@pytest.mark.parametrize("testbench", TESTBENCHES, ids=lambda path: path.stem)
def test_kernel(testbench: Path, tmp_path: Path) -> None:
    program = tmp_path / "testbench"
    compile_cpp(testbench, program, "-O2", *STRICT, includes=(HLS / "sim", HLS / "include"))
    run_testbench(program)


@needs_gxx
@pytest.mark.slow
@pytest.mark.parametrize("testbench", TESTBENCHES, ids=lambda path: path.stem)
def test_kernel_with_the_vendor_types(testbench: Path, tmp_path: Path) -> None:
    """The same sources mean the same under the real arbitrary-precision types."""
    types = vendor_types()
    if types is None:
        pytest.skip("the vendor's ap_types headers come with hls4ml (pip install hls4ml)")
    program = tmp_path / "testbench"
    # First on the path, they win over hls/sim, which still supplies ap_axi_sdata.h. The warnings
    # are theirs.
    compile_cpp(testbench, program, "-O1", "-w", includes=(types, HLS / "sim", HLS / "include"))
    run_testbench(program)


@needs_gxx
def test_unread_and_missing_words_are_noticed(tmp_path: Path) -> None:
    """A kernel that is sent too little stops the simulation with the name of the stream."""
    source = tmp_path / "short.cpp"
    source.write_text(
        """
        #include <lepton/fork.hpp>
        #include <cstdio>
        #include <stdexcept>
        int main() {
            using Word = lepton::Vec<ap_int<8>, 1>;
            hls::stream<Word> in("conv1_to_fork"), a("a"), b("b");
            in.write(Word{{1}});
            try {
                lepton::fork<ap_int<8>, 1, 2>(in, a, b, 1);
            } catch (const std::runtime_error& error) {
                std::puts(error.what());
            }
            std::printf("left over: %zu\\n", a.size());
        }
        """
    )
    program = tmp_path / "short"
    compile_cpp(source, program, *STRICT, includes=(HLS / "sim", HLS / "include"))
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    assert "read from empty stream 'conv1_to_fork' after 1 words" in done.stdout
    assert "left over: 1" in done.stdout

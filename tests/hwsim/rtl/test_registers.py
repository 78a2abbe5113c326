"""The register block, and the gate it holds shut: what a driver on the bus sees."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from lepton_edge.runtime.verilated import Run, Verilated
from tests.hwsim.rtl import harness

pytestmark = harness.needs_simulator

WORDS = 6
DESIGN_ID = 0xC0DEFACE

TOP = f"""
module registers (
    input  logic        clk,
    input  logic        rst,
    input  logic [ 5:0] aw_data,
    input  logic        aw_valid,
    output logic        aw_ready,
    input  logic [35:0] w_data,
    input  logic        w_valid,
    output logic        w_ready,
    output logic [ 1:0] b_data,
    output logic        b_valid,
    input  logic        b_ready,
    input  logic [ 5:0] ar_data,
    input  logic        ar_valid,
    output logic        ar_ready,
    output logic [33:0] r_data,
    output logic        r_valid,
    input  logic        r_ready,
    input  logic [15:0] in_data,
    input  logic        in_valid,
    output logic        in_ready,
    output logic [16:0] out_data,
    output logic        out_valid,
    input  logic        out_ready
);
    logic        start;
    logic        frame_done;
    logic [31:0] frames;
    logic [ 9:0] word_data;
    logic        word_valid;
    logic        word_ready;
    logic [ 1:0] unused_keep;

    lepton_axilite #(.DESIGN_ID(32'h{DESIGN_ID:08x})) u_registers (
        .clk, .rst, .start, .frames, .frame_done,
        .s_axi_awaddr(aw_data), .s_axi_awvalid(aw_valid), .s_axi_awready(aw_ready),
        .s_axi_wdata(w_data[31:0]), .s_axi_wstrb(w_data[35:32]),
        .s_axi_wvalid(w_valid), .s_axi_wready(w_ready),
        .s_axi_bresp(b_data), .s_axi_bvalid(b_valid), .s_axi_bready(b_ready),
        .s_axi_araddr(ar_data), .s_axi_arvalid(ar_valid), .s_axi_arready(ar_ready),
        .s_axi_rdata(r_data[31:0]), .s_axi_rresp(r_data[33:32]),
        .s_axi_rvalid(r_valid), .s_axi_rready(r_ready)
    );
    lepton_axis_in #(.LANES(2), .X_BITS(5), .BYTES(1), .WORDS({WORDS}), .IS_GATED(1)) u_in (
        .clk, .rst, .start, .frames,
        .axis_tdata(in_data), .axis_tvalid(in_valid), .axis_tready(in_ready),
        .out_data(word_data), .out_valid(word_valid), .out_ready(word_ready)
    );
    lepton_axis_out #(.LANES(2), .X_BITS(5), .X_SIGNED(1), .BYTES(1), .WORDS({WORDS})) u_out (
        .clk, .rst, .frame_done,
        .in_data(word_data), .in_valid(word_valid), .in_ready(word_ready),
        .axis_tdata(out_data[15:0]), .axis_tkeep(unused_keep), .axis_tlast(out_data[16]),
        .axis_tvalid(out_valid), .axis_tready(out_ready)
    );
endmodule
"""

STREAMS = (
    harness.Stream("aw", 6, True),
    harness.Stream("w", 36, True),
    harness.Stream("b", 2, False),
    harness.Stream("ar", 6, True),
    harness.Stream("r", 34, False),
    harness.Stream("in", 16, True),
    harness.Stream("out", 17, False),
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Verilated]:
    folder = tmp_path_factory.mktemp("registers")
    design = harness.build("registers", TOP, STREAMS, folder)
    yield design
    design.close()


@pytest.fixture
def design(built: Verilated) -> Verilated:
    built.reset()
    return built


def words(*values: int, bits: int = 32) -> np.ndarray:
    return harness.pack(np.array(values, np.int64)[:, None], bits)


def write(
    design: Verilated, address: int, value: int, strobe: int = 15, stall: float = 0.3
) -> None:
    sent = {"aw": words(address), "w": words(strobe << 32 | value, bits=36)}
    run = design.run(sent, {"b": 1}, stall_in=stall, stall_out=stall, linger=5)
    assert run.trouble == ""
    assert run.words["b"].tolist() == [[0]]


def read(design: Verilated, address: int, stall: float = 0.3) -> int:
    run = design.run({"ar": words(address)}, {"r": 1}, stall_in=stall, stall_out=stall, linger=5)
    assert run.trouble == ""
    return int(run.words["r"][0, 0])


def send(design: Verilated, frames: int, more: int = 0) -> Run:
    """Offer frames (and ``more`` words beyond them), and take the frames."""
    codes = (np.arange((frames * WORDS + more) * 2).reshape(-1, 2) * 7) % 256
    count = frames * WORDS
    run = design.run({"in": harness.pack(codes, 8)}, {"out": count}, patience=100, linger=50)
    assert run.trouble == ""
    low = codes[:count] & 31
    wanted = np.where(low > 15, low - 32, low)
    assert (harness.unpack(run.words["out"], 8, 2, True) == wanted).all()
    last = run.words["out"][:, 0] >> 16
    assert last.tolist() == ([0] * (WORDS - 1) + [1]) * frames
    return run


def test_constants_and_idle(design: Verilated) -> None:
    assert read(design, 0x18) == DESIGN_ID
    assert read(design, 0x1C) == 1
    assert read(design, 0x00) == 4
    assert read(design, 0x3C) == 0


def test_frames_obeys_strobes(design: Verilated) -> None:
    write(design, 0x10, 0x12345678)
    write(design, 0x10, 0xAABBCCDD, strobe=0b0101)
    assert read(design, 0x10) == 0x12BB56DD


def test_nothing_is_taken_before_start(design: Verilated) -> None:
    run = design.run({"in": words(1, 2, 3, bits=16)}, {"out": 1}, patience=100)
    assert len(run.cycles["in"]) == 0
    assert len(run.words["out"]) == 0


@pytest.mark.parametrize("frames", [1, 3])
def test_a_start_takes_its_frames_and_is_done(design: Verilated, frames: int) -> None:
    for _ in range(2):
        write(design, 0x10, frames)
        write(design, 0x00, 1)
        assert read(design, 0x00) == 1  # running
        run = send(design, frames, more=2)
        assert len(run.cycles["in"]) == frames * WORDS  # the surplus words wait
        design_state = read(design, 0x00)
        assert design_state == 0b1110  # done, idle, ready
        assert read(design, 0x00) == 4  # reading cleared it
        assert read(design, 0x30) == frames
        spent, first = read(design, 0x20), read(design, 0x28)
        assert read(design, 0x24) == read(design, 0x2C) == 0
        assert frames * WORDS < spent < frames * WORDS + 200
        assert first <= spent
        assert (first < spent) == (frames > 1)


def test_no_frames_are_done_at_once(design: Verilated) -> None:
    write(design, 0x10, 0)
    write(design, 0x00, 1)
    assert read(design, 0x00) == 0b1110


def test_frames_and_start_wait_while_it_runs(design: Verilated) -> None:
    write(design, 0x10, 2)
    write(design, 0x00, 1)
    write(design, 0x10, 9)
    write(design, 0x00, 1)
    assert read(design, 0x10) == 2
    send(design, 2)
    assert read(design, 0x00) == 0b1110

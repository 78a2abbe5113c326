"""nextpnr: what it is told, and what its reports say, as nextpnr 0.11.1 wrote them."""

from __future__ import annotations

import json

import pytest

from lepton_edge.errors import ToolFailedError, UnknownNameError
from lepton_edge.toolchain.nextpnr import (
    FABRICS,
    Routed,
    best_of,
    fabric_of,
    pack_command,
    pins_text,
    read_report,
    route_command,
)

CLOCK = "$glbnet$clk$TRELLIS_IO_IN"
FLIP_FLOP = "u__design.u_act_quantize_3.u_kernel.g_lane[0].a_TRELLIS_FF_Q_19"
MULTIPLIER = "u__design.u_act_quantize_3.u_kernel.g_lane[0].terms_DI_CCU2C_S0_A0_MULT18X18D_P8"


def end(cell: str, port: str, x: int) -> dict[str, object]:
    return {"cell": cell, "loc": [x, 23], "port": port}


REPORT = {
    "critical_paths": [
        {
            "from": "<async>",
            "path": [
                {
                    "delay": 5.77,
                    "from": end("shift$tr_io", "O", 0),
                    "to": end("u__scan.is_shift_TRELLIS_FF_Q", "M", 9),
                    "type": "routing",
                }
            ],
            "to": f"posedge {CLOCK}",
        },
        {
            "from": f"posedge {CLOCK}",
            "path": [
                {
                    "delay": 0.5240000486373901,
                    "from": end(FLIP_FLOP, "CLK", 54),
                    "to": end(FLIP_FLOP, "Q", 54),
                    "type": "clk-to-q",
                },
                {
                    "delay": 4.5,
                    "from": end(FLIP_FLOP, "Q", 54),
                    "net": "u__design.u_act_quantize_3.u_kernel.g_lane[0].a[1]",
                    "to": end(MULTIPLIER, "A1", 80),
                    "type": "routing",
                },
            ],
            "to": f"posedge {CLOCK}",
        },
    ],
    "fmax": {CLOCK: {"achieved": 66.78242492675781, "constraint": 100.0}},
    "utilization": {
        "MULT18X18D": {"available": 156, "used": 99},
        "TRELLIS_COMB": {"available": 83640, "used": 9443},
    },
}


def test_a_report_is_read() -> None:
    routed = read_report(json.dumps(REPORT), "seed 1")

    assert routed.fmax_mhz == pytest.approx(66.78, abs=0.01)
    assert routed.used == {"MULT18X18D": 99, "TRELLIS_COMB": 9443}
    assert routed.has == {"MULT18X18D": 156, "TRELLIS_COMB": 83640}
    # The path from a pin is not the one that sets the clock.
    assert [(s.kind, s.cell, s.port) for s in routed.critical_path] == [
        ("clk-to-q", FLIP_FLOP, "Q"),
        ("routing", MULTIPLIER, "A1"),
    ]


def test_the_slowest_clock_counts() -> None:
    clocks = {"fast": {"achieved": 200.0}, "slow": {"achieved": 90.0}}
    assert read_report(json.dumps({**REPORT, "fmax": clocks}), "").fmax_mhz == 90.0


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({**REPORT, "fmax": {}})])
def test_a_damaged_report_is_told(text: str) -> None:
    with pytest.raises(ToolFailedError, match="nextpnr's report cannot be read") as caught:
        read_report(text, "seed 7")
    assert caught.value.where == "seed 7"


def test_the_best_seed_is_the_fastest_and_the_first_of_equals() -> None:
    def reach(fmax_mhz: float) -> Routed:
        return Routed(fmax_mhz, {}, {}, ())

    assert best_of({1: reach(90.0), 2: reach(101.0), 3: reach(101.0)}) == 2


def test_commands() -> None:
    ecp5, gowin = FABRICS["ecp5"], FABRICS["gowin"]
    device = ("--85k", "--package", "CABGA381")

    route = route_command("nextpnr-ecp5", ecp5, device, 100.0, 3, "seed3")
    words = " ".join(route)

    assert words.startswith("nextpnr-ecp5 --85k --package CABGA381 --json design.json")
    assert "--lpf pins.lpf" in words
    assert "--textcfg seed3.config" in words
    assert "--report seed3.report.json" in words
    assert "--freq 100 --seed 3 --timing-allow-fail" in words
    assert pack_command("ecppack", ecp5, (), "seed3", "net.bit") == (
        "ecppack", "seed3.config", "net.bit",
    )  # fmt: skip
    assert pack_command("gowin_pack", gowin, ("-d", "GW1N-9C"), "seed1", "net.fs") == (
        "gowin_pack", "-d", "GW1N-9C", "-o", "net.fs", "seed1.json",
    )  # fmt: skip


def test_pins() -> None:
    pins = {"clk": "G2", "step": "C11"}
    assert pins_text("ecp5", pins, "LVCMOS33") == (
        'LOCATE COMP "clk" SITE "G2";\nIOBUF PORT "clk" IO_TYPE=LVCMOS33;\n'
        'LOCATE COMP "step" SITE "C11";\nIOBUF PORT "step" IO_TYPE=LVCMOS33;\n'
    )
    assert pins_text("ice40", pins, "") == "set_io clk G2\nset_io step C11\n"
    assert pins_text("gowin", {"clk": "52"}, "LVCMOS33") == (
        'IO_LOC "clk" 52;\nIO_PORT "clk" IO_TYPE=LVCMOS33;\n'
    )
    assert pins_text("ecp5", {}, "LVCMOS33") == ""


def test_a_family_without_a_router_is_told() -> None:
    with pytest.raises(UnknownNameError, match="no open place and route for xc7"):
        fabric_of("xc7")

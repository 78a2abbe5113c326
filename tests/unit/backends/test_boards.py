from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lepton_edge.backends.boards import Board, Resources, list_boards, load_board
from lepton_edge.backends.fpga.rtl_shell import SHELL_PINS
from lepton_edge.data import data_dir
from lepton_edge.errors import ConfigError, InternalError, UnknownNameError

AMOUNTS = st.builds(
    Resources,
    lut=st.integers(0, 500_000),
    ff=st.integers(0, 500_000),
    dsp=st.integers(0, 4000),
    bram36=st.integers(0, 2000).map(lambda half: half / 2),
    uram=st.integers(0, 200),
)

# Published totals, typed here a second time so that a slip in a board file shows.
PUBLISHED = {
    "arty-a7-100t": Resources(63_400, 126_800, 240, 135, 0),
    "ice40-hx8k": Resources(7680, 7680, 0, 128 // 36, 0),
    "icebreaker": Resources(5280, 5280, 8, 120 // 36, 0),
    "kv260": Resources(117_120, 234_240, 1248, 144, 64),
    "pynq-z1": Resources(53_200, 106_400, 220, 140, 0),
    "pynq-z2": Resources(53_200, 106_400, 220, 140, 0),
    "tang-nano-20k": Resources(20_736, 15_552, 48, 46 // 2, 0),
    "tang-nano-9k": Resources(8640, 6480, 20, 26 // 2, 0),
    "ultra96-v2": Resources(70_560, 141_120, 360, 216, 0),
    "ulx3s-85f": Resources(83_640, 83_640, 156, 104, 0),
    "zcu104": Resources(230_400, 460_800, 1728, 312, 96),
}
DSP_KIND = {
    "xc7": "DSP48E1",
    "xcup": "DSP48E2",
    "ecp5": "MULT18X18D",
    "ice40": "SB_MAC16",
    "gowin": "MULT18X18",
}
AMD = ("xc7", "xcup")

Edit = Callable[[str, str], Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """Give a function that copies the PYNQ-Z2's file with one piece of its text replaced."""

    def edit(old: str, new: str) -> Path:
        text = (data_dir("targets") / "boards" / "pynq-z2.toml").read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the file"
        path = tmp_path / "pynq-z2.toml"
        path.write_text(text.replace(old, new), encoding="utf-8")
        return path

    return edit


def test_all_known_boards_have_their_published_resources() -> None:
    assert {board.name: board.resources for board in list_boards()} == PUBLISHED


@pytest.mark.parametrize("board", list_boards(), ids=lambda board: board.name)
def test_each_board_is_consistent(board: Board) -> None:
    assert load_board(board.name) == board
    assert board.dsp_kind == DSP_KIND[board.family]
    assert board.clock_mhz <= board.max_clock_mhz
    assert (board.host is not None) == (board.runtime == "pynq")
    assert bool(board.vitis_part) == (board.family in AMD)
    assert bool(board.nextpnr_args) == (board.family not in AMD)
    assert set(board.pins) == (set() if board.family in AMD else set(SHELL_PINS))
    assert len({*board.pins.values()}) == len(board.pins)
    assert {"resources", "clock", "tools"} <= set(board.source)
    assert ("memory" in board.source) == (board.memory is not None)
    assert ("pins" in board.source) == bool(board.pins)
    assert ("host" in board.source) == (board.host is not None)
    # The part string of the vendor's tools is the ordering code in another order.
    if board.vitis_part:
        assert sorted(board.vitis_part.lower().replace("-", "")) in (
            sorted(board.part.lower().replace("-", "")),
            sorted(board.part.lower().replace("-", "")[:-1]),  # without the temperature grade
        )


def test_names_are_sorted_and_equal_their_files() -> None:
    names = [board.name for board in list_boards()]
    files = sorted(path.stem for path in (data_dir("targets") / "boards").iterdir())
    assert names == sorted(names) == files


def test_a_board_is_a_value() -> None:
    board = load_board("pynq-z2")
    assert hash(board) == hash(load_board("pynq-z2"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        board.clock_mhz = 1  # type: ignore[misc]


def test_bandwidth_is_limited_by_ports_or_by_the_memory() -> None:
    memory = load_board("pynq-z2").memory
    assert memory is not None
    assert memory.bandwidth_gbs(50) == pytest.approx(4 * 64 * 50 / 8 / 1000)
    assert memory.bandwidth_gbs(100) == pytest.approx(16 * 1050 / 8 / 1000)


def test_user_board(edited: Edit) -> None:
    board = load_board(edited("lut = 53_200", "lut = 17_600"))
    assert board.resources.lut == 17_600
    assert load_board(str(edited("uram = 0", "uram = 3"))).resources.uram == 3


def test_unknown_board_names_near_ones() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_board("pynq-z3")
    assert "'pynq-z3'" in str(caught.value)
    assert "pynq-z2" in caught.value.hint
    with pytest.raises(UnknownNameError) as caught:
        load_board("missing.toml")
    assert caught.value.where == "missing.toml"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lut = 53_200", "", "'resources.lut': wanted a whole number, 1 or more, found nothing"),
        ("lut = 53_200", "lut = 0", "'resources.lut': wanted a whole number, 1 or more, found 0"),
        ("dsp = 220", "dsp = -1", "'resources.dsp': wanted a whole number, 0 or more, found -1"),
        ("dsp = 220", "dsp = true", "'resources.dsp': wanted a whole number, 0 or more, found Tr"),
        ("dsp = 220", "dsp = 2.5", "'resources.dsp': wanted a whole number, 0 or more, found 2.5"),
        ("default_mhz = 100", "default_mhz = '9'", "wanted a number above 0, found '9'"),
        ("default_mhz = 100", "default_mhz = inf", "wanted a number above 0, found inf"),
        ("default_mhz = 100", "default_mhz = nan", "wanted a number above 0, found nan"),
        ("max_mhz = 200", "max_mhz = 50", "'clock.max_mhz': wanted no less than default_mhz (100)"),
        (
            'family = "xc7"',
            'family = "xc8"',
            "'family': wanted one of xc7, xcup, ecp5, ice40, gowin, found 'xc8'",
        ),
        (
            'family = "xc7"',
            "family = ['xc7']",
            "'family': wanted one of xc7, xcup, ecp5, ice40, gowin, found [",
        ),
        ('title = "PYNQ-Z2"', 'title = ""', "'title': wanted a text that is not empty, found ''"),
        ('title = "PYNQ-Z2"', "title = 2", "'title': wanted a text that is not empty, found 2"),
        ('name = "pynq-z2"', 'name = "z2"', "'name': wanted the file's own name, 'pynq-z2'"),
        ("uram = 0", "uram = 0\nhbm = 1", "unknown key 'resources.hbm'"),
        ('runtime = "pynq"', 'runtime = "pynq"\ncolour = "pink"', "unknown key 'colour'"),
        ("[resources]", "[resource]", "'resources': wanted a table, found nothing"),
        ("[host]", "[host]\nfpu = 1", "unknown key 'host.fpu'"),
        ("[tools]", "[tools]\nnextpnr_args = [1]", "'tools.nextpnr_args': wanted a list of texts"),
        ("[source]", "[source]\nprice = 'x'", "unknown key 'source.price'"),
        ("[clock]", "[clock", "not a TOML file"),
    ],
)
def test_bad_files_say_file_key_wanted_and_found(
    edited: Edit, old: str, new: str, message: str
) -> None:
    path = edited(old, new)
    with pytest.raises(ConfigError) as caught:
        load_board(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("section", ["resources", "clock", "memory", "host", "tools"])
def test_each_section_needs_its_source(edited: Edit, section: str) -> None:
    path = edited("[source]", "[source]\n#")
    lines = path.read_text(encoding="utf-8").splitlines()
    start = lines.index("[source]")
    kept = [line for i, line in enumerate(lines) if i < start or not line.startswith(section)]
    path.write_text("\n".join(kept), encoding="utf-8")
    with pytest.raises(ConfigError, match=f"'source.{section}'"):
        load_board(path)


def test_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_board(path)


def test_values_that_are_nested_deeply(edited: Edit) -> None:
    path = edited('name = "pynq-z2"', f"{'.'.join(['name'] * 3000)} = 1")
    with pytest.raises(ConfigError, match="key 'name': wanted a text"):
        load_board(path)


@pytest.mark.parametrize("name", ["x" * 300 + ".toml", "a\0b.toml"])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(UnknownNameError, match="there is no such board file"):
        load_board(name)


@given(AMOUNTS, AMOUNTS)
def test_sum_uses_at_least_each_part(a: Resources, b: Resources) -> None:
    total = a + b
    assert a.fits(total)
    assert b.fits(total)
    assert total == b + a
    assert total.fits(a) == (b == Resources())


@given(AMOUNTS, AMOUNTS)
def test_fits_excess_and_utilisation_agree(need: Resources, budget: Resources) -> None:
    excess = need.excess(budget)
    used = need.utilisation(budget)
    assert need.fits(budget) == (not excess)
    assert set(excess) == {name for name, fraction in used.items() if fraction > 1}
    assert all(value > 0 for value in excess.values())


def test_utilisation_of_what_the_board_has_not() -> None:
    used = Resources(lut=100, uram=1).utilisation(Resources(lut=400))
    assert used == {"lut": 0.25, "ff": 0.0, "dsp": 0.0, "bram36": 0.0, "uram": math.inf}


def test_data_dir_knows_its_names() -> None:
    with pytest.raises(InternalError, match="no data directory is named 'boards'"):
        data_dir("boards")

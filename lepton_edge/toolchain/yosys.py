"""Synthesise modules with Yosys, side by side, once for each content."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lepton_edge.errors import ToolFailedError, UnknownNameError
from lepton_edge.progress import Progress
from lepton_edge.toolchain.cache import cache_folder
from lepton_edge.toolchain.find import Found
from lepton_edge.toolchain.jobs import Ended, Job, run_jobs

PASSES: Mapping[str, str] = {
    "xc7": "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf",
    "xcup": "synth_xilinx -family xcup -flatten -noiopad -noclkbuf",
    "ecp5": "synth_ecp5 -nowidelut",
    "ice40": "synth_ice40",
    "gowin": "synth_gowin -noiopads",
}
"""Yosys' synthesis for each family, without pads: a part of a design has none.

``-nowidelut`` on ECP5: multiplexers between LUTs cost more LUTs there than they save.
"""

DEFINES: Mapping[str, str] = {"ice40": "-DLEPTON_NO_LUT_RAM "}
"""What the kernels are told of a family (hls/rtl/lepton_ram.sv)."""

TIMEOUT_S = 3600.0
"""Longest that one part may take."""

KEPT = 4000
"""Netlists kept in the cache; the least recently used go first."""

STALE_S = 24 * 3600.0
"""Age at which a folder of running jobs is taken for one of a run that was killed."""

_KIND = "netlists"
_STAT, _WRITTEN = "stat.json", "netlist.json"  # by Yosys
_NETLIST, _CELLS, _LOG = "netlist.json.gz", "cells.json", "yosys.log"  # in the cache
_SCRATCH = "build-"


@dataclass(frozen=True)
class Recipe:
    """How parts are synthesised.

    Args:
        family: a key of `PASSES`.
        options: more options of the synthesis, such as the device's.
    """

    family: str
    options: tuple[str, ...] = ()

    @classmethod
    def of(cls, family: str, options: tuple[str, ...] = ()) -> Recipe:
        """Return a recipe.

        Raises:
            UnknownNameError: Yosys is not asked to synthesise for this family.
        """
        if family not in PASSES:
            raise UnknownNameError.of("family", family, PASSES)
        return cls(family, options)

    @property
    def command(self) -> str:
        """The synthesis command, but for the name of the top."""
        return " ".join((PASSES[self.family], *self.options))

    @property
    def joined(self) -> str:
        """The same for a whole design with pads, whose parts are synthesised already."""
        return self.command.replace(" -noiopads", "")

    def script(self, top: str, sources: Iterable[str]) -> str:
        """Return the script that synthesises ``top`` in the current folder."""
        return (
            # Parameters choose the files of memories: no module is read before they are known.
            f"read_verilog -sv -defer {DEFINES.get(self.family, '')}{' '.join(sources)}\n"
            f"{self.command} -top {top}\n"
            # Memories of constants are mapped on their own (hls/rtl/lepton_rom_words.sv).
            "setattr -mod -unset keep_hierarchy *\n"
            f"flatten; opt_clean; hierarchy -top {top}\n"
            "check -assert\n"
            "delete t:$scopeinfo\n"
            f"tee -q -o {_STAT} stat -json\n"
            # Without the library's modules, which are most of the text.
            f"select {top}\n"
            f"write_json -selected {_WRITTEN}\n"
        )


@dataclass(frozen=True)
class Part:
    """Something to synthesise.

    Args:
        name: what messages and logs call it.
        top: its top module.
        files: texts by name; those that end in ``.sv`` are read, the others only lie beside them.
    """

    name: str
    top: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Netlist:
    """A synthesised part.

    Args:
        path: Yosys' JSON netlist, compressed by gzip.
        cells: number of cells by type.
        log: what Yosys said.
    """

    path: Path
    cells: Mapping[str, int]
    log: Path

    def text(self) -> bytes:
        """Return the JSON netlist."""
        with gzip.open(self.path) as file:
            return file.read()


def synthesise(
    parts: Sequence[Part],
    recipe: Recipe,
    yosys: Found,
    *,
    parallel: int,
    logs: Path,
    progress: Progress,
) -> dict[str, Netlist]:
    """Return the netlist of each part, by its name; parts that are alike are synthesised once.

    Args:
        parts: what to synthesise.
        recipe: how.
        yosys: the tool.
        parallel: processes at once.
        logs: existing folder that gets a log a part, ``<name>.log``.
        progress: told how many parts are done.

    Raises:
        ToolFailedError: Yosys failed on a part, or took too long; its log is kept.
    """
    cache = cache_folder(_KIND)
    _forget_old(cache)
    places = {part.name: cache / _key(part, recipe, yosys) for part in parts}
    missing = {places[part.name]: part for part in parts if not _is_there(places[part.name])}
    # Wide parts take long: they start first, so that the cores are busy to the end.
    order = sorted(missing.values(), key=lambda part: -_size(part))
    uses = Counter(places.values())
    done = len(parts) - sum(uses[place] for place in missing)
    progress.advance(done, len(parts))
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=cache) as scratch:
        jobs = [_job(part, recipe, yosys, Path(scratch), logs) for part in order]
        with contextlib.closing(run_jobs(jobs, parallel)) as all_ended:
            for ended in all_ended:
                ended.require(_STAT, _WRITTEN)
                place = places[ended.job.name]
                _store(ended, place)
                done += uses[place]
                progress.advance(done, len(parts))
    netlists = {name: _read(place) for name, place in places.items()}
    for name, netlist in netlists.items():
        if not (logs / f"{name}.log").exists():
            shutil.copyfile(netlist.log, logs / f"{name}.log")
    return netlists


def _key(part: Part, recipe: Recipe, yosys: Found) -> str:
    """Return a hash of all that a netlist is made from."""
    digest = hashlib.sha256(f"{yosys.banner}\0{_script(part, recipe)}".encode())
    for name, content in sorted(part.files.items()):
        digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def _script(part: Part, recipe: Recipe) -> str:
    return recipe.script(part.top, sorted(name for name in part.files if name.endswith(".sv")))


def _size(part: Part) -> int:
    return sum(map(len, part.files.values()))


def _job(part: Part, recipe: Recipe, yosys: Found, scratch: Path, logs: Path) -> Job:
    """Lay out the files of a part, and return the run of Yosys in their folder."""
    folder = scratch / hashlib.sha256(part.name.encode()).hexdigest()[:16]
    for name, content in part.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "synth.ys").write_text(_script(part, recipe), encoding="utf-8")
    command = (yosys.path, "-T", "synth.ys")
    return Job(part.name, command, folder, logs / f"{part.name}.log", TIMEOUT_S)


def _store(ended: Ended, place: Path) -> None:
    """Move what Yosys wrote to its place in the cache."""
    job = ended.job
    ready = job.folder / "ready"
    ready.mkdir()
    try:
        stat = json.loads((job.folder / _STAT).read_text(encoding="utf-8"))
        cells = {name: int(count) for name, count in stat["design"]["num_cells_by_type"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ended.fault(f"wrote a {_STAT} that does not list cells") from None
    (ready / _CELLS).write_text(json.dumps(cells), encoding="utf-8")
    # Without a time in the header: the same netlist is the same file.
    netlist = gzip.compress((job.folder / _WRITTEN).read_bytes(), 6, mtime=0)
    (ready / _NETLIST).write_bytes(netlist)
    shutil.copyfile(job.log, ready / _LOG)
    with contextlib.suppress(OSError):  # another process was first
        ready.rename(place)
    shutil.rmtree(job.folder, ignore_errors=True)


def _is_there(place: Path) -> bool:
    with contextlib.suppress(OSError):
        os.utime(place)
        return (place / _CELLS).is_file()
    return False


def _read(place: Path) -> Netlist:
    try:
        cells = json.loads((place / _CELLS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ToolFailedError(
            f"a netlist in the cache cannot be read: {getattr(error, 'strerror', None) or error}",
            where=str(place),
            hint="remove this folder, and run the command again",
        ) from None
    return Netlist(place / _NETLIST, cells, place / _LOG)


def _forget_old(cache: Path) -> None:
    with contextlib.suppress(OSError):
        places = [path for path in cache.iterdir() if path.is_dir()]
        age_s = {path: time.time() - path.stat().st_mtime for path in places}
        old = sorted(places, key=lambda path: age_s[path])[KEPT:]
        killed = [p for p in places if p.name.startswith(_SCRATCH) and age_s[p] > STALE_S]
        for path in (*old, *killed):
            shutil.rmtree(path, ignore_errors=True)

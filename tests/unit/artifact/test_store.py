from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lepton_edge.artifact import store, swap
from lepton_edge.artifact.manifest import Manifest, TensorSpec
from lepton_edge.artifact.report import Report
from lepton_edge.artifact.store import ArtifactWriter, load_artifact, update_report
from lepton_edge.errors import ArtifactError, InternalError, UserError

ROOT = Path(__file__).resolve().parents[3]
SPEC = TensorSpec("x", "int8", (1, 4))
MANIFEST = Manifest("net", "fpga", "pynq-z2", 100.0, "ab12", (SPEC,), (SPEC,))
REPORT = Report("net", "fpga", "pynq-z2")

# Writes an artifact; {} is what happens on the way.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from lepton_edge.artifact import store, swap
from lepton_edge.artifact.manifest import Manifest, TensorSpec
from lepton_edge.artifact.report import Report
spec = TensorSpec("x", "int8", (1, 4))
with store.ArtifactWriter(Path(sys.argv[1])) as writer:
    (writer.root / "top.cpp").write_text("new")
    print("started", flush=True)
    {}
    writer.commit(Manifest("net", "fpga", "b", 1.0, "ab", (spec,), (spec,)), Report("n", "t", "b"))
"""

KILL_BETWEEN_RENAMES = (
    "swap._exchange = lambda *_: False; before = Path.rename; "
    "Path.rename = lambda a, b: os.kill(os.getpid(), signal.SIGKILL) "
    "if '.partial-' in a.name else before(a, b)"
)


def write(output: Path, text: str = "old") -> store.StoredArtifact:
    with ArtifactWriter(output) as writer:
        (writer.root / "src").mkdir()
        (writer.root / "src" / "top.cpp").write_text(text)
        (writer.root / "weights.bin").write_bytes(b"\x00\x01")
        return writer.commit(MANIFEST, REPORT)


def start(output: Path, on_the_way: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(on_the_way), str(output)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def source(output: Path) -> str:
    artifact = load_artifact(output)
    artifact.check_files()
    return (output / "src" / "top.cpp").read_text()


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_an_artifact_is_written_and_read(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "down" / "net"

    written = write(output)

    artifact = load_artifact(output)
    artifact.check_files()
    assert artifact == written
    assert list(artifact.manifest.files) == ["weights.bin", "src/top.cpp"]
    assert names(output) == ["manifest.json", "report.json", "src", "weights.bin"]
    assert names(output.parent) == ["net"]
    assert artifact.file("weights.bin").read_bytes() == b"\x00\x01"


def test_an_old_artifact_and_an_empty_directory_are_replaced(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    write(tmp_path / "net", "old")
    write(tmp_path / "net", "new")
    write(empty, "new")

    assert source(tmp_path / "net") == source(empty) == "new"
    assert names(tmp_path) == ["empty", "net"]


def test_what_the_user_added_is_kept_but_scratch_is_not(tmp_path: Path) -> None:
    output = tmp_path / "net"
    write(output)
    (output / "outputs.npz").write_bytes(b"mine")
    (output / "notes").mkdir()
    (output / "notes" / "a.txt").write_text("mine too")
    (output / "src" / "stale.o").write_text("x")
    (output / store.SCRATCH).mkdir()
    (output / store.SCRATCH / "simulator").write_text("stale")

    write(output, "new")

    assert source(output) == "new"
    assert (output / "outputs.npz").read_bytes() == b"mine"
    assert (output / "notes" / "a.txt").read_text() == "mine too"
    assert names(output / "src") == ["top.cpp"]
    assert not (output / store.SCRATCH).exists()
    assert not any("notes" in path for path in load_artifact(output).manifest.files)


def test_an_exception_leaves_the_old_artifact_and_no_rest(tmp_path: Path) -> None:
    write(tmp_path / "net", "old")

    def fail() -> None:
        with ArtifactWriter(tmp_path / "net") as writer:
            (writer.root / "half").write_text("x")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert source(tmp_path / "net") == "old"
    assert names(tmp_path) == ["net"]


def test_leaving_without_commit_is_our_fault(tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="not committed"), ArtifactWriter(tmp_path / "net"):
        pass

    assert names(tmp_path) == []


def test_a_directory_with_other_files_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(UserError) as caught:
        ArtifactWriter(tmp_path).__enter__()

    assert (
        caught.value.what == "the directory is not empty, and holds no artifact (no manifest.json)"
    )
    assert caught.value.hint == "choose another directory with -o, or empty this one"
    assert names(tmp_path) == ["thesis.tex"]


def test_files_that_appear_during_the_work_are_not_deleted(tmp_path: Path) -> None:
    output = tmp_path / "net"

    def work() -> None:
        with ArtifactWriter(output) as writer:
            output.mkdir()
            (output / "thesis.tex").write_text("years of work")
            writer.commit(MANIFEST, REPORT)

    with pytest.raises(UserError, match="not empty"):
        work()

    assert names(output) == ["thesis.tex"]
    assert names(tmp_path) == ["net"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net").write_text("x")

    with pytest.raises(UserError, match="wanted a directory to write, found a file"):
        ArtifactWriter(tmp_path / "net").__enter__()
    with pytest.raises(UserError, match=r"cannot be written: a part of its path is a file"):
        ArtifactWriter(tmp_path / "net" / "below").__enter__()


@pytest.mark.parametrize("place", [".", ".."])
def test_the_current_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    with pytest.raises(UserError, match="the current directory"):
        ArtifactWriter(Path(place)).__enter__()


@pytest.mark.parametrize("place", ["/proc/lepton/net", "a\0b"])
def test_an_unwritable_place_is_refused(place: str) -> None:
    with pytest.raises(UserError, match="cannot be written") as caught:
        ArtifactWriter(Path(place)).__enter__()

    assert caught.value.hint == "choose another directory with -o"


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(UserError):
        ArtifactWriter(tmp_path / "loop").__enter__()


def test_a_link_to_an_artifact_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to("real")

    write(tmp_path / "link", "new")

    assert source(tmp_path / "real") == "new"
    assert (tmp_path / "link").is_symlink()


def test_a_full_disk_is_the_users_to_solve(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught, ArtifactWriter(tmp_path / "net"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert caught.value.what == "the artifact cannot be written: No space left on device"
    assert caught.value.hint == "free some space, or choose another directory with -o"
    assert names(tmp_path) == []


def test_other_os_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), ArtifactWriter(tmp_path / "net"):
        (tmp_path / "elsewhere").read_text()


def test_without_exchange_two_renames_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    write(tmp_path / "net", "old")

    write(tmp_path / "net", "new")

    assert source(tmp_path / "net") == "new"
    assert names(tmp_path) == ["net"]


def test_a_failing_second_rename_restores_the_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "net", "old")
    monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    rename = Path.rename

    def fail_for_partial(self: Path, target: Path) -> Path:
        if ".partial-" in self.name:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_partial)

    with pytest.raises(UserError, match="cannot be written: Input/output error"):
        write(tmp_path / "net", "new")

    assert source(tmp_path / "net") == "old"
    assert names(tmp_path) == ["net"]


def test_a_swap_killed_between_its_renames_is_recovered(tmp_path: Path) -> None:
    write(tmp_path / "net", "old")
    (tmp_path / "net").rename(tmp_path / ".net.old-12345678")

    assert source(tmp_path / "net") == "old"
    assert names(tmp_path) == ["net"]


@pytest.mark.parametrize("has_exchange", [True, False])
@pytest.mark.parametrize(
    "moment",
    [
        "os.kill(os.getpid(), signal.SIGKILL)",
        "store._hash_files = lambda root: os.kill(os.getpid(), signal.SIGKILL)",
        "swap.copy_entry = lambda *_: os.kill(os.getpid(), signal.SIGKILL)",
        "swap._exchange = lambda *_: os.kill(os.getpid(), signal.SIGKILL)",
        KILL_BETWEEN_RENAMES,
    ],
)
def test_kill_9_leaves_the_old_artifact_intact(
    tmp_path: Path, moment: str, has_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "net"
    write(output, "old")
    (output / "mine.txt").write_text("kept")

    process = start(output, moment)
    process.communicate()

    assert process.returncode == -signal.SIGKILL
    assert source(output) == "old"
    assert (output / "mine.txt").read_text() == "kept"
    if not has_exchange:
        monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    write(output, "newer")
    assert source(output) == "newer"
    assert (output / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)]
)
def test_a_polite_kill_cleans_up(tmp_path: Path, number: signal.Signals, status: int) -> None:
    write(tmp_path / "net", "old")
    process = start(tmp_path / "net", "time.sleep(60)")

    process.send_signal(number)
    process.communicate()

    assert process.returncode == status
    assert source(tmp_path / "net") == "old"
    assert names(tmp_path) == ["net"]


def test_the_handler_of_sigterm_is_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    write(tmp_path / "net")

    assert signal.getsignal(signal.SIGTERM) is before


def test_rests_of_killed_runs_are_removed_after_a_day(tmp_path: Path) -> None:
    old, young, other = (
        tmp_path / name for name in (".net.partial-0", ".net.partial-1", ".net2.partial-0")
    )
    for path in (old, young, other):
        path.mkdir()
        (path / "x").write_text("x")
    for path in (old, other):
        os.utime(path, (time.time() - swap.STALE_S - 60,) * 2)

    write(tmp_path / "net")

    assert names(tmp_path) == [".net.partial-1", ".net2.partial-0", "net"]


def test_of_two_compiles_at_once_the_last_wins_whole(tmp_path: Path) -> None:
    output = tmp_path / "net"
    with ArtifactWriter(output) as first, ArtifactWriter(output) as second:
        for writer, text in ((first, "first"), (second, "second")):
            (writer.root / f"{text}.txt").write_text(text)
        second.commit(MANIFEST, REPORT)
        first.commit(MANIFEST, REPORT)

    assert list(load_artifact(output).manifest.files) == ["first.txt"]
    assert names(output) == ["first.txt", "manifest.json", "report.json"]
    assert names(tmp_path) == ["net"]


@pytest.mark.parametrize("has_exchange", [True, False])
def test_many_commits_at_once_are_never_mixed(
    tmp_path: Path, has_exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_exchange:
        monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    output = tmp_path / "net"
    failures: list[BaseException] = []

    def work(index: int) -> None:
        try:
            for turn in range(5):
                with ArtifactWriter(output) as writer:
                    for name in ("a", "b"):
                        (writer.root / name).write_text(f"{index} {turn}")
                    writer.commit(MANIFEST, REPORT)
        except BaseException as failure:  # noqa: BLE001 - told by the test
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    load_artifact(output).check_files()
    assert (output / "a").read_text() == (output / "b").read_text()
    assert names(tmp_path) == ["net"]


def test_an_edited_file_is_found_when_it_is_needed(tmp_path: Path) -> None:
    write(tmp_path / "net")
    artifact = load_artifact(tmp_path / "net")
    (tmp_path / "net" / "src" / "top.cpp").write_text("hacked")

    artifact.check_files("weights.bin")
    with pytest.raises(ArtifactError) as caught:
        artifact.check_files("src")

    assert caught.value.what == "differs from what compile wrote"
    assert caught.value.where == str(tmp_path / "net" / "src" / "top.cpp")
    with pytest.raises(ArtifactError, match="has no file 'nothing'"):
        artifact.file("nothing")


def test_a_missing_file_is_found_at_once(tmp_path: Path) -> None:
    write(tmp_path / "net")
    (tmp_path / "net" / "weights.bin").unlink()

    with pytest.raises(ArtifactError, match="listed in the manifest, but missing"):
        load_artifact(tmp_path / "net")


def test_what_is_no_artifact_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(ArtifactError, match="found nothing") as nothing:
        load_artifact(tmp_path / "nowhere")
    with pytest.raises(ArtifactError, match="found a file"):
        load_artifact(tmp_path / "file")
    with pytest.raises(ArtifactError, match=r"manifest\.json is missing"):
        load_artifact(tmp_path)

    assert "lepton-edge compile" in nothing.value.hint


def test_binary_rubbish_as_manifest_is_an_artifact_error(tmp_path: Path) -> None:
    write(tmp_path / "net")
    (tmp_path / "net" / "manifest.json").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ArtifactError, match="not UTF-8 text"):
        load_artifact(tmp_path / "net")


def test_the_report_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "net")
    newer = dataclasses.replace(REPORT, warnings=("new",))

    update_report(tmp_path / "net", newer)

    assert load_artifact(tmp_path / "net").report == newer
    assert "report.json" in names(tmp_path / "net")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="No space left"):
        update_report(tmp_path / "net", REPORT)
    assert json.loads((tmp_path / "net" / "report.json").read_text())["warnings"] == ["new"]
    assert names(tmp_path / "net") == ["manifest.json", "report.json", "src", "weights.bin"]


@pytest.mark.parametrize("name", ["manifest.json", "report.json"])
@pytest.mark.parametrize("place", ["pipe", "/dev/zero"])
def test_documents_that_never_end_are_refused(name: str, place: str, tmp_path: Path) -> None:
    write(tmp_path / "out")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "out" / name).unlink()
    (tmp_path / "out" / name).symlink_to(tmp_path / place)

    with pytest.raises(ArtifactError, match="this is no regular file"):
        load_artifact(tmp_path / "out")


@pytest.mark.parametrize("name", ["manifest.json", "report.json"])
def test_documents_of_terabytes_are_refused(name: str, tmp_path: Path) -> None:
    write(tmp_path / "out")
    os.truncate(tmp_path / "out" / name, 10 << 40)

    with pytest.raises(ArtifactError, match="too large: more than 64 MiB"):
        load_artifact(tmp_path / "out")

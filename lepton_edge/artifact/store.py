"""Write an artifact as a whole or not at all; read one back and check that it is whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from lepton_edge.artifact import swap
from lepton_edge.artifact.files import read_text
from lepton_edge.artifact.interrupts import sigterm_raises
from lepton_edge.artifact.manifest import Manifest
from lepton_edge.artifact.report import Report
from lepton_edge.errors import ArtifactError, InternalError, UserError

MANIFEST = "manifest.json"
REPORT = "report.json"

MAX_DOCUMENT_BYTES = 64 << 20
"""Largest manifest or report that is read."""

SCRATCH = ".cache"
"""Directory in an artifact for what can be made again, such as compiled simulators."""

BUILD = "build"
"""Directory in an artifact for what synthesis and routing leave; it goes with the design."""

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OTHER_PLACE = "choose another directory with -o"


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact on disk: where it is, and its two documents as they were read."""

    root: Path
    manifest: Manifest
    report: Report
    _checked: set[str] = field(default_factory=set, repr=False, compare=False)

    def check_files(self, *groups: str) -> None:
        """Compare files with the hashes in the manifest; each file is hashed once.

        Args:
            groups: paths of files or directories below the root; none means all files.

        Raises:
            ArtifactError: a file is missing, or not as compile wrote it.
        """
        for path in self.manifest.files:
            if path not in self._checked and (not groups or _is_in(path, groups)):
                self._check(path)
                self._checked.add(path)

    def file(self, path: str) -> Path:
        """Return where a listed file is, after comparing it with its hash.

        Raises:
            ArtifactError: it is not listed, missing, or not as compile wrote it.
        """
        if path not in self.manifest.files:
            raise ArtifactError(
                f"the artifact has no file {path!r}",
                where=str(self.root),
                hint="compile the model again",
            )
        self.check_files(path)
        return self.root / path

    def check_alone(self, *folders: str) -> None:
        """See that folders hold nothing but what compile wrote: no file that hides another.

        Raises:
            ArtifactError: a file is not listed in the manifest.
        """
        for folder in folders:
            for path in _files_below(self.root / folder):
                if f"{folder}/{path}" not in self.manifest.files:
                    raise ArtifactError(
                        "was not written by compile, and would be compiled with the design",
                        where=str(self.root / folder / path),
                        hint="remove it, or compile the model again",
                    )

    def check_is_free(self, path: Path) -> None:
        """See that a file written to ``path`` would not become, or replace, a part of the design.

        Raises:
            UserError: it would.
        """
        try:
            entry = path.resolve().relative_to(self.root.resolve()).parts[:1]
        except (OSError, RuntimeError, ValueError):  # outside, or found unwritable later
            return
        if not entry or entry[0] in _written_entries(self.manifest):
            raise UserError(
                "is a part of the artifact, which belongs to compile and build",
                where=str(path),
                hint=f"choose a place beside it, such as {self.root / 'results' / path.name}",
            )

    def _check(self, path: str) -> None:
        where = str(self.root / path)
        try:
            digest = sha256_of(self.root / path)
        except OSError as error:
            raise ArtifactError(
                f"cannot be read: {error.strerror}", where=where, hint="compile the model again"
            ) from None
        if digest != self.manifest.files[path]:
            raise ArtifactError(
                "differs from what compile wrote", where=where, hint="compile the model again"
            )


class ArtifactWriter:
    """Writes an artifact beside its final place, and puts it there in one step.

    ::

        with ArtifactWriter(Path("build/digits")) as writer:
            (writer.root / "design.h").write_text(...)
            writer.commit(manifest, report)

    An exception, SIGINT or SIGTERM before ``commit`` leaves what was there untouched. Files that
    the user put into an older artifact (entries at its top that compile did not write) are kept.

    Args:
        output: the artifact's directory; parents are made. It may be missing, empty, or hold an
            artifact.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.root = output
        self._final = output
        self._is_committed = False
        self._stops = contextlib.ExitStack()

    def __enter__(self) -> ArtifactWriter:
        try:
            self._final = self.output.resolve()
            self._final.parent.mkdir(parents=True, exist_ok=True)
            swap.recover(self._final)
            with swap.locked(self._final.parent):
                swap.remove_stale(self._final)
                self._refuse_foreign()
            self.root = swap.fresh_sibling(self._final, "partial")
            self.root.mkdir()
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL in the name
            raise self._unwritable(error) from error
        self._stops.enter_context(sigterm_raises())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stops.close()
        if not self._is_committed:
            shutil.rmtree(self.root, ignore_errors=True)
        cause = error.__cause__ if isinstance(error, UserError) else error
        if isinstance(cause, OSError) and self._is_ours(cause):
            raise self._unwritable(cause) from error
        if error is None and not self._is_committed:
            raise InternalError("the artifact was written but not committed", where=str(self.root))

    def commit(self, manifest: Manifest, report: Report) -> StoredArtifact:
        """Write both documents and put the artifact in its place.

        Args:
            manifest: all but its ``files``, which are filled in here.
            report: the figures.

        Returns:
            The artifact in its final place.

        Raises:
            UserError: the place became unwritable, or was filled with other files meanwhile.
        """
        try:
            manifest = replace(manifest, files=_hash_files(self.root))
            _write_synced(self.root / MANIFEST, manifest.to_json())
            _write_synced(self.root / REPORT, report.to_json())
            with swap.locked(self._final.parent):
                self._refuse_foreign()
                self._keep_additions()
                swap.replace_directory(self.root, self._final)
        except OSError as error:
            raise self._unwritable(error) from error
        self._is_committed = True
        self.root = self._final
        return StoredArtifact(self.output, manifest, report)

    def _refuse_foreign(self) -> None:
        """Raise where the directory must not be replaced."""
        path, where = self._final, str(self.output)
        if not path.exists():
            return
        if not path.is_dir():
            raise UserError(
                "wanted a directory to write, found a file", where=where, hint=_OTHER_PLACE
            )
        if path in (Path.cwd(), *Path.cwd().parents) or os.path.ismount(path):
            what = "the current directory, a parent of it, or a mount point cannot be replaced"
            raise UserError(what, where=where, hint=f"{_OTHER_PLACE}, such as {path / 'design'}")
        if any(path.iterdir()) and not (path / MANIFEST).is_file():
            raise UserError(
                f"the directory is not empty, and holds no artifact (no {MANIFEST})",
                where=where,
                hint=f"{_OTHER_PLACE}, or empty this one",
            )

    def _keep_additions(self) -> None:
        """Take over what the user put beside the files of the artifact that is replaced."""
        try:
            old = Manifest.from_json(_read(self._final / MANIFEST))
        except ArtifactError:
            return
        written = _written_entries(old)
        for entry in self._final.iterdir():
            target = self.root / entry.name
            is_new = entry.name not in written and not entry.name.startswith(".")
            if is_new and not os.path.lexists(target):
                swap.copy_entry(entry, target)

    def _is_ours(self, error: OSError) -> bool:
        name = str(error.filename) if error.filename is not None else ""
        return error.errno in _FULL_DISK or Path(name).is_relative_to(self.root)

    def _unwritable(self, error: Exception) -> UserError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "a part of its path is a file"
        full = isinstance(error, OSError) and error.errno in _FULL_DISK
        return UserError(
            f"the artifact cannot be written: {reason or error}",
            where=str(self.output),
            hint="free some space, or " + _OTHER_PLACE if full else _OTHER_PLACE,
        )


def load_artifact(path: Path) -> StoredArtifact:
    """Read the two documents of an artifact, and see that its files are there.

    Raises:
        ArtifactError: it is missing, damaged, or of another schema.
    """
    swap.recover(path.absolute())
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise ArtifactError(
            f"wanted an artifact directory, found {found}",
            where=str(path),
            hint=f"lepton-edge compile MODEL --target fpga -o {path} makes one",
        )
    manifest = Manifest.from_json(_read(path / MANIFEST), str(path / MANIFEST))
    report = Report.from_json(_read(path / REPORT), str(path / REPORT))
    for name in manifest.files:
        if not (path / name).is_file():
            raise ArtifactError(
                "listed in the manifest, but missing",
                where=str(path / name),
                hint="compile the model again",
            )
    return StoredArtifact(path, manifest, report)


def update_report(root: Path, report: Report) -> None:
    """Replace the report of the artifact at ``root`` in one step.

    Raises:
        UserError: it cannot be written; the old report is untouched.
    """
    replace_file(root / REPORT, report.to_json().encode())


def replace_file(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    partial = swap.fresh_sibling(path, "partial")
    try:
        _write_synced(partial, content)
        partial.replace(path)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", where=str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _written_entries(manifest: Manifest) -> set[str]:
    """Return the entries at the top of an artifact that compile and build write."""
    return {MANIFEST, REPORT, BUILD, SCRATCH, *(path.split("/")[0] for path in manifest.files)}


def _is_in(path: str, groups: tuple[str, ...]) -> bool:
    return any(path == group or path.startswith(f"{group}/") for group in groups)


def _files_below(root: Path) -> Iterator[str]:
    for directory, names, files in os.walk(root):
        names.sort()
        for name in sorted(files):
            yield (Path(directory) / name).relative_to(root).as_posix()


def _hash_files(root: Path) -> dict[str, str]:
    """Return the sha256 of every file that belongs to the design."""
    owned = [
        path
        for path in _files_below(root)
        if path not in (MANIFEST, REPORT) and not path.startswith(f"{SCRATCH}/")
    ]
    return {path: sha256_of(root / path) for path in owned}


def _write_synced(path: Path, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> str:
    try:
        return read_text(path, MAX_DOCUMENT_BYTES, ArtifactError, "compile the model again")
    except FileNotFoundError:
        raise ArtifactError(
            f"no artifact is here: {path.name} is missing",
            where=str(path.parent),
            hint="name the directory that was given to compile as -o",
        ) from None

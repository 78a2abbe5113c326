"""Where the data that travels with the package lies: board files, shells, hardware kernels."""

from __future__ import annotations

from pathlib import Path

from lepton_edge.errors import InternalError

DATA_NAMES = ("targets", "hls")


def data_dir(name: str) -> Path:
    """Return the directory of one kind of data, in an installed wheel or in a source checkout.

    Args:
        name: one of `DATA_NAMES`: ``"targets"`` or ``"hls"``.

    Raises:
        InternalError: the name is none of these, or the installation lacks the directory.
    """
    if name not in DATA_NAMES:
        raise InternalError(f"no data directory is named {name!r}: wanted one of {DATA_NAMES}")
    package = Path(__file__).resolve().parent
    candidates = [package / "_data" / name]
    if (package.parent / "pyproject.toml").is_file():  # a checkout, or an editable install
        candidates.append(package.parent / name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise InternalError(
        f"the data directory {name!r} is missing from this installation",
        where=str(package),
        hint="install again: pip install --force-reinstall --no-deps lepton-edge",
    )

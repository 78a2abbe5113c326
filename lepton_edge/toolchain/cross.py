"""Programs for other processors: built with a cross compiler, run by an emulator."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from lepton_edge.errors import ToolFailedError, ToolMissingError
from lepton_edge.toolchain import gxx
from lepton_edge.toolchain.cache import cached, digest

TOOLS = {
    "aarch64": ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "qemu-aarch64-static"),
    "armv7l": ("arm-linux-gnueabihf-gcc", "gcc-arm-linux-gnueabihf", "qemu-arm-static"),
}
"""For each architecture (``uname -m``) its C compiler, the Debian package of that, its emulator."""

FLAGS = ("-O2", "-static")
TIMEOUT_S = 600.0
FILES = ("frames.c", "network.c", "weights.S", "kernels.o", "calls.o")
"""What a program is made of."""


def compiler(arch: str) -> str:
    """Return the C compiler for an architecture: this computer's own, or a cross compiler.

    Raises:
        ToolMissingError: there is none.
    """
    if platform.machine() == arch and shutil.which("gcc"):
        return "gcc"
    name, package, _ = TOOLS[arch]
    if shutil.which(name) is None:
        raise ToolMissingError(
            f"programs for {arch} are built with {name}, which was not found",
            hint=f"apt-get install {package} libc6-dev-{_debian(arch)}-cross",
        )
    return name


def _debian(arch: str) -> str:
    return {"aarch64": "arm64", "armv7l": "armhf"}[arch]


def emulator(arch: str) -> list[str]:
    """Return the command that runs programs of an architecture; nothing on its own computers.

    Raises:
        ToolMissingError: there is none.
    """
    if platform.machine() == arch:
        return []
    static = TOOLS[arch][2]
    for name in (static, static.removesuffix("-static")):
        path = shutil.which(name)
        if path:
            return [path]
    raise ToolMissingError(
        f"programs for {arch} are run by {static}, which was not found",
        hint="apt-get install qemu-user-static",
    )


def build_program(folder: Path, arch: str) -> Path:
    """Return a static program, built now or found in the cache.

    Args:
        folder: has FILES, the header and the constants.
        arch: as ``uname -m`` says it.

    Raises:
        ToolMissingError: there is no compiler.
        ToolFailedError: it refused the sources; its log is kept.
    """
    command = [compiler(arch), *FLAGS, *FILES, "-lm"]
    files = [folder / name for name in (*FILES, "network.h", "weights.bin")]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise ToolFailedError(f"{', '.join(missing)} is not there", where=str(folder))
    key = digest(command, folder, files)

    def build(program: Path, scratch: Path, log: Path) -> None:
        gxx.compile_with([*command, "-o", str(program)], folder, scratch, log)

    return cached("programs", key, "", build)

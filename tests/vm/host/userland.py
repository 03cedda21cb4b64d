"""The guest's programs: busybox, v4l2-ctl, and the libraries of what the host built."""

import os
import re
import shutil
from pathlib import Path

from apt import Apt, unpack
from arch import Arch
from shell import run

PROGRAMS = ("v4l2-ctl",)
# Where Debian's own programs and libraries lie in the guest: apart from those
# that the host's binaries bring, which may be of another release.
DEBIAN = "opt/debian"


def install_userland(arch: Arch, apt: Apt, cache: Path, root: Path) -> None:
    """Puts busybox with its applets and Debian's programs into a guest's root folder."""
    for folder in ("bin", "sbin", "usr/bin", "dev", "proc", "sys", "tmp", "run", "root", "mnt"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    packages = apt.fetch(cache / "debs/busybox", f"busybox-static:{arch.debian}")
    busybox = unpack(packages, cache / "busybox")
    shutil.copy(busybox / "usr/bin/busybox", root / "bin/busybox")
    packages = apt.fetch(
        cache / "debs/programs", f"v4l-utils:{arch.debian}", with_dependencies=True
    )
    programs = unpack(packages, cache / "programs")
    for program in PROGRAMS:
        _install_program(arch, programs, program, root)


def _install_program(arch: Arch, tree: Path, name: str, root: Path) -> None:
    """A program with its libraries, started by Debian's own loader."""
    libraries = root / DEBIAN / "lib"
    libraries.mkdir(parents=True, exist_ok=True)
    shutil.copy(tree / "usr/bin" / name, root / DEBIAN / name)
    waiting, loader = [tree / "usr/bin" / name], ""
    while waiting:
        headers = run("objdump", "-p", waiting.pop())
        for needed in re.findall(r"NEEDED\s+(\S+)", headers):
            found = tree / "usr/lib" / arch.gnu / needed
            if not (libraries / needed).exists():
                shutil.copy(found, libraries / needed)
                waiting.append(found)
            loader = needed if needed.startswith("ld-") else loader
    script = root / "bin" / name
    script.write_text(
        f"#!/bin/sh\nexec /{DEBIAN}/lib/{loader} --library-path /{DEBIAN}/lib"
        f' /{DEBIAN}/{name} "$@"\n'
    )
    script.chmod(0o755)


def install_libraries(binary: Path, root: Path) -> None:
    """The host's loader and libraries of a binary that was linked on the host."""
    for place in re.findall(r"(/\S+) \(0x", run("ldd", binary)):
        target = root / place.lstrip("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(place), target)


def pack(root: Path, image: Path) -> Path:
    """A folder as a compressed initial RAM disk, all of it root's."""
    run(
        "sh",
        "-c",
        'find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet | gzip -1 > "$1"',
        "sh",
        image.resolve(),
        cwd=root,
    )
    return image

"""Debian's kernel: the bootable image and the modules that a guest may load."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from apt import Apt, unpack
from arch import Arch
from shell import run


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    version: str
    image: Path
    modules: Path


def kernel(arch: Arch, apt: Apt, cache: Path) -> Kernel:
    """Fetches and unpacks the kernel, or finds it in the cache."""
    folder, stamp = cache / "kernel", cache / "kernel.complete"
    if not stamp.exists():
        package = _package(arch, apt, cache)
        unpack(apt.fetch(cache / "debs/kernel", package), folder)
        run("depmod", "-b", folder / "usr", _version(folder))
        stamp.touch()
    version = _version(folder)
    image = next((folder / "boot").glob("vmlinuz-*"))
    return Kernel(version, image, folder / "usr/lib/modules" / version)


def _package(arch: Arch, apt: Apt, cache: Path) -> str:
    """The package behind the name that always means the newest kernel."""
    here = list((cache / "debs/kernel").glob("linux-image-*.deb"))
    if here:
        return here[0].name.split("_")[0] + f":{arch.debian}"
    depends = apt.depends(f"linux-image-{arch.debian}:{arch.debian}")
    package = next(name for name in depends if name.startswith("linux-image-"))
    return package if ":" in package else f"{package}:{arch.debian}"


def _version(folder: Path) -> str:
    return next((folder / "usr/lib/modules").iterdir()).name


def install_modules(found: Kernel, names: tuple[str, ...], extra: list[Path], root: Path) -> None:
    """Puts modules, what they depend on, and `extra` ones into a guest's root folder."""
    place = root / "lib/modules" / found.version
    place.mkdir(parents=True)
    wanted = {file for name in names for file in _with_dependencies(found, name)}
    for file in sorted(wanted):
        target = place / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(found.modules / file, target)
    packed = [place / file for file in sorted(wanted) if file.endswith(".xz")]
    if packed:
        run("xz", "-d", *packed)
    for module in extra:
        (place / "extra").mkdir(exist_ok=True)
        shutil.copy(module, place / "extra")
    for listing in ("modules.builtin", "modules.order"):
        shutil.copy(found.modules / listing, place)
    run("depmod", "-b", root, found.version)


def _with_dependencies(found: Kernel, name: str) -> list[str]:
    """The files of a module and of those it needs; none where this kernel lacks it."""
    spelled = re.sub("[-_]", "[-_]", name)
    line = re.search(
        rf"^(\S*/{spelled}\.ko\S*):(.*)$",
        (found.modules / "modules.dep").read_text(),
        re.MULTILINE,
    )
    return [line[1], *line[2].split()] if line else []

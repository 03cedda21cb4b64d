"""Sensor drivers that Debian's kernel does not carry, built from its own source.

The INA3221 power monitor is on every Jetson, so cases need its mainline driver. Source,
headers and the kernel's build programs are Debian's packages of the same kernel; the
compiler is the host's, and so may be older than the one that built the kernel.
"""

import subprocess
from pathlib import Path

from apt import Apt, unpack
from arch import Arch
from kernel import Kernel
from shell import RigError, fresh, need, run, say

# Drivers and where the kernel's source has them; one that the kernel carries is not built.
DRIVERS = {
    "ina3221": "drivers/hwmon/ina3221.c",
    "ina2xx": "drivers/hwmon/ina2xx.c",
    "i2c-stub": "drivers/i2c/i2c-stub.c",
}
# Options of the kernel's own build that the host's compiler may not serve.
OPTIONS = ("CONFIG_DEBUG_INFO_BTF_MODULES=", "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=")


def sensors(arch: Arch, apt: Apt, cache: Path, found: Kernel) -> list[Path]:
    """Builds the drivers, or finds them in the cache."""
    folder, stamp = cache / "sensors", cache / "sensors.complete"
    if not stamp.exists():
        carried = (found.modules / "modules.dep").read_text()
        missing = {name: file for name, file in DRIVERS.items() if f"/{name}.ko" not in carried}
        _build(arch, apt, cache, found, missing, fresh(folder))
        stamp.touch()
    return sorted(folder.glob("*.ko"))


def _build(
    arch: Arch, apt: Apt, cache: Path, found: Kernel, missing: dict[str, str], folder: Path
) -> None:
    say(f"building {', '.join(missing)} for {found.version}")
    need({"patchelf": "patchelf", "make": "make", "gcc": "gcc", "tar": "tar"})
    _take_sources(apt, cache.parent / "source", list(missing.values()), folder)
    headers = _headers(arch, apt, cache, found)
    objects = " ".join(f"{name}.o" for name in missing)
    (folder / "Makefile").write_text(f"obj-m += {objects}\n")
    prefix = f"{arch.gnu}-" if arch.debian == "arm64" else ""
    target = [f"ARCH={arch.debian}", f"CROSS_COMPILE={prefix}"] if prefix else []
    run("make", "-C", headers, f"M={folder}", f"CC={prefix}gcc", *target, *OPTIONS, "modules")
    run(f"{prefix}strip", "--strip-debug", *folder.glob("*.ko"))


def _take_sources(apt: Apt, cache: Path, files: list[str], folder: Path) -> None:
    """Takes single files out of the source package, without unpacking the rest."""
    release = "linux-source-6.12"
    (package,) = apt.fetch(cache, release)
    outer = f"./usr/src/{release}.tar.xz"
    script = (
        'set -o pipefail; dpkg-deb --fsys-tarfile "$0" | tar xO "$1" '
        '| tar xJ -C "$2" --transform "s,.*/,," "${@:3}"'
    )
    wanted = [f"{release}/{file}" for file in files]
    run("bash", "-c", script, package, outer, folder, *wanted)


def _headers(arch: Arch, apt: Apt, cache: Path, found: Kernel) -> Path:
    """Unpacks headers and build programs so that they work where they lie."""
    flavour = f"linux-headers-{found.version}"
    common = flavour.removesuffix(f"-{arch.debian}")
    packages = apt.fetch(cache / "debs/headers", f"{flavour}:{arch.debian}", f"{common}-common")
    kbuild = f"linux-kbuild-{common.removeprefix('linux-headers-')}"
    packages += apt.fetch(cache / "debs/kbuild", kbuild, with_dependencies=True)
    tree = unpack(packages, cache / "headers")
    sources = tree / "usr/src"
    makefile = sources / flavour / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src", str(sources)))
    _relocate(tree)
    return sources / flavour


def _relocate(tree: Path) -> None:
    """Lets the kernel's build programs run with the libraries that came with them."""
    libraries = tree / "usr/lib/x86_64-linux-gnu"
    loader = libraries / "ld-linux-x86-64.so.2"
    for program in (tree / "usr/lib").glob("linux-kbuild-*/**/*"):
        if program.is_symlink() or not program.is_file() or not _is_program(program):
            continue
        flags = ["--set-interpreter", str(loader), "--set-rpath", str(libraries)]
        patched = subprocess.run(["patchelf", *flags, str(program)], check=False)
        if patched.returncode != 0:
            raise RigError(f"cannot relocate {program}")


def _is_program(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(4) == b"\x7fELF" and file.stat().st_mode & 0o100 != 0

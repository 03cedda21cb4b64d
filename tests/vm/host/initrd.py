"""The guest's initial RAM disk: a cached part (Debian's) and a part built anew (ours)."""

import shutil
import tempfile
from pathlib import Path

from apt import Apt
from arch import Arch
from kernel import Kernel, install_modules
from payload import install_payload
from sensors import sensors
from shell import fingerprint
from userland import install_userland, pack

HERE = Path(__file__).parent


def initrd(arch: Arch, apt: Apt, cache: Path, found: Kernel, binaries: dict[str, Path]) -> Path:
    """Packs both parts; the kernel reads them one after the other."""
    ours = cache / "ours.gz"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        install_payload(arch, binaries, root)
        shutil.copy(HERE.parent / "guest/init", root / "init")
        pack(root, ours)
    whole = cache / "initrd.gz"
    with whole.open("wb") as out:
        for part in (_base(arch, apt, cache, found), ours):
            with part.open("rb") as packed:
                shutil.copyfileobj(packed, out)
    return whole


def _base(arch: Arch, apt: Apt, cache: Path, found: Kernel) -> Path:
    """Busybox, Debian's programs and the kernel's modules."""
    scripts = sorted(HERE.glob("*.py"))
    base = cache / f"base-{fingerprint([found.version, *scripts])}.gz"
    if base.exists():
        return base
    for outdated in cache.glob("base-*.gz"):
        outdated.unlink()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        install_userland(arch, apt, cache, root)
        install_modules(found, arch.modules, sensors(arch, apt, cache, found), root)
        pack(root, base.with_suffix(".part"))
    base.with_suffix(".part").rename(base)
    return base

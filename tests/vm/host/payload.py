"""What the cases need from this repository: the binaries and a bundle."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from arch import Arch
from shell import RigError, run
from userland import install_libraries

REPOSITORY = Path(__file__).parents[3]
BUNDLES = ("tiny-e2",)


def build(arch: Arch) -> dict[str, Path]:
    """Builds `e4` and `e4-vm`; on x86_64 these are the ones that `cargo test` makes."""
    selected = ["--bin", "e4", "--test", "e4-vm"]
    if arch.target.startswith("x86_64"):
        command = ["cargo", "build", *selected]
    else:
        command = [str(REPOSITORY / "cross/build"), "aarch64-musl", "--profile", "vm", *selected]
    done = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RigError("the cases do not compile")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    built = {
        message["target"]["name"]: Path(message["executable"])
        for message in messages
        if message.get("executable")
    }
    return {name: built[name] for name in ("e4", "e4-vm")}


def install_payload(arch: Arch, binaries: dict[str, Path], root: Path) -> None:
    """Puts the binaries, with their libraries, and the bundles into a guest's root folder."""
    place = root / "usr/bin"
    place.mkdir(parents=True)
    strip = "strip" if arch.target.startswith("x86_64") else "aarch64-linux-gnu-strip"
    for name, binary in binaries.items():
        run(strip, "--strip-debug", "-o", place / name, binary)
        (place / name).chmod(0o755)
        if arch.target.endswith("gnu"):
            install_libraries(binary, root)
    shared = root / "usr/share/e4/engines"
    for bundle in BUNDLES:
        shutil.copytree(REPOSITORY / "engines" / bundle, shared / bundle)
    os.symlink("usr/share/e4/engines", root / "engines")

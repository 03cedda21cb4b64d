"""Running programs and keeping what they made."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


class RigError(Exception):
    """The rig cannot run the cases; the message says what to do."""


def say(text: str) -> None:
    """Tells the user, in order with what the programs print."""
    print(text, flush=True)


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Runs a program to its end and returns what it printed; its failure is the rig's."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-2000:] + done.stderr[-4000:])
        raise RigError(f"`{' '.join(map(str, command))}` failed with {done.returncode}")
    return done.stdout


def need(tools: dict[str, str]) -> None:
    """Installs the packages of those programs that are missing."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = sorted({package for tool, package in tools.items() if not shutil.which(tool)})
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    run(Path(__file__).resolve().parents[3] / "cross/apt-install", *missing)


def fingerprint(parts: Iterable[str | Path]) -> str:
    """A short hash over words and the contents of files."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def fresh(folder: Path) -> Path:
    """An empty folder in the place of whatever was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder

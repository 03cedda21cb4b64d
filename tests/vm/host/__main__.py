"""tests/vm/run: boots a virtual machine and runs the kernel cases in it."""

import argparse
import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apt import Apt
from arch import ARCHES, X86_64, Arch
from campaign import campaign
from firmware import firmware
from initrd import initrd
from kernel import kernel
from machine import Machine
from payload import REPOSITORY, build
from shell import RigError, fresh, need, say


def main() -> int:
    """Returns the exit code: 0 where no case failed, 1 where one did, 2 without a verdict."""
    options = _options()
    # Ended from outside, the emulator ends, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        if options.list:
            binary = build(X86_64)["e4-vm"]
            return subprocess.run([binary, "cases", options.arch], check=False).returncode
        return _run(ARCHES[options.arch], options.case)
    except RigError as error:
        print(f"tests/vm/run: {error}", file=sys.stderr)
        return 2


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/vm/run", description=__doc__)
    parser.add_argument("arch", choices=sorted(ARCHES))
    parser.add_argument("case", nargs="*", help="part of a name, or a tier: soak, selftest")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    return parser.parse_args()


def _run(arch: Arch, cases: list[str]) -> int:
    started = time.monotonic()
    cache = Path(os.environ.get("E4_VM_CACHE", REPOSITORY / "target/vm")).resolve()
    folder = cache / arch.name
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        machine = _prepare(arch, cache, folder)
        say(f"ready to boot after {time.monotonic() - started:.0f} s")
        before = _cpu_s()
        verdict = campaign(machine, cases)
        used = _cpu_s() - before
    for name in verdict.skipped:
        say(f"SKIP {name}")
    for name in verdict.failed:
        say(f"FAIL {name}")
    say(f"{arch.name}: {time.monotonic() - started:.0f} s in all, {used:.0f} s of CPU to emulate")
    if not (verdict.passed or verdict.failed or verdict.skipped):
        raise RigError("no case has that name; --list shows them")
    say(verdict.line())
    return 1 if verdict.failed else 0


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cpu_s() -> float:
    """Seconds of CPU that ended children took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _prepare(arch: Arch, cache: Path, folder: Path) -> Machine:
    """Machines of both kinds may run side by side: only what they share is locked."""
    with _locked(cache):
        need(arch.tools)
    binaries = build(arch)
    with _locked(cache):
        apt = Apt(cache)
        found = kernel(arch, apt, folder)
        return Machine(
            arch=arch,
            kernel=found.image,
            initrd=initrd(arch, apt, folder, found, binaries),
            firmware=firmware(arch, folder),
            share=fresh(folder / "share"),
        )


if __name__ == "__main__":
    sys.exit(main())

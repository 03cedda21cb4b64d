"""One boot of a virtual machine: starts it, follows it, ends it when it hangs."""

import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from arch import Arch
from firmware import CPUS, MEMORY
from results import Results
from shell import fresh, say

# From power-on to the first case, and from a case's own limit to "the guest hangs".
BOOT_LIMIT_S = 240
GRACE_S = 60


@dataclass
class Machine:
    """What every boot of one run has in common."""

    arch: Arch
    kernel: Path
    initrd: Path
    firmware: list[str]
    share: Path


@dataclass
class Boot:
    """What one boot left: results, and why it ended early if it did."""

    results: Results
    trouble: str = ""
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=25))


def boot(machine: Machine, request: list[str], kernel_arguments: str) -> Boot:
    """Boots once, runs the requested cases, returns when the guest is off."""
    fresh(machine.share)
    (machine.share / "request").write_text(" ".join(request))
    outcome = Boot(Results(machine.share / "results"))
    guest = subprocess.Popen(
        _command(machine, kernel_arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    console = threading.Thread(target=_follow, args=(guest.stdout, outcome.tail), daemon=True)
    console.start()
    try:
        outcome.trouble = _watch(guest, outcome.results)
    finally:
        guest.kill()
        guest.wait()
        console.join(timeout=5)
    if not outcome.trouble and not (machine.share / "exit").exists():
        outcome.trouble = f"the guest died (the emulator ended with {guest.returncode})"
    return outcome


def _command(machine: Machine, kernel_arguments: str) -> list[str]:
    words = f"console={machine.arch.console} quiet panic=-1 {kernel_arguments}"
    return [
        machine.arch.emulator, *machine.arch.machine, *machine.firmware,
        "-smp", CPUS, "-m", MEMORY,
        "-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot",
        "-serial", "stdio",
        "-kernel", str(machine.kernel), "-initrd", str(machine.initrd), "-append", words,
        "-virtfs", f"local,path={machine.share},mount_tag=host,security_model=none",
    ]  # fmt: skip


def _watch(guest: subprocess.Popen[bytes], results: Results) -> str:
    """Waits for the guest to end; says what hangs where it does not."""
    started = time.monotonic()
    while guest.poll() is None:
        time.sleep(0.1)
        running, limit_s = results.running()
        if not running and not results.began() and time.monotonic() - started > BOOT_LIMIT_S:
            return f"the guest did not come up within {BOOT_LIMIT_S} s"
        if running and results.idle_s() > limit_s + GRACE_S:
            return f"the guest hangs ({GRACE_S} s past the limit of {limit_s} s)"
        if results.began() and not running and results.idle_s() > BOOT_LIMIT_S:
            return "the guest hangs between cases"
    return ""


def _follow(console, tail: deque[str]) -> None:  # noqa: ANN001 (a pipe)
    """Shows what the guest prints and keeps the end of it."""
    for line in iter(console.readline, b""):
        text = line.decode(errors="replace").rstrip().replace("\x1b", "")
        tail.append(text)
        say(text)

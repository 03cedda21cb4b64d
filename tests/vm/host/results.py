"""The guest's report, line by line in a file of the share:

    start NAME LIMIT_S      a case begins
    pass NAME SECONDS       it ended well
    fail NAME REASON        it did not
    skip NAME REASON        it cannot run here
    later ARGS|NAME,...     these cases need a boot with other kernel arguments
"""

import time
from pathlib import Path


class Results:
    """Reads the report while the guest writes it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.seen = ""
        self.changed = time.monotonic()

    def lines(self) -> list[tuple[str, str, str]]:
        """Every complete line as (what, name, rest)."""
        text = self.file.read_text(errors="replace") if self.file.exists() else ""
        if text != self.seen:
            self.seen, self.changed = text, time.monotonic()
        whole = text[: text.rfind("\n") + 1]
        return [(*line.split(" ", 2), "", "")[:3] for line in whole.splitlines() if line]

    def began(self) -> bool:
        """Whether the guest has written anything."""
        return bool(self.lines())

    def running(self) -> tuple[str, int]:
        """The case that began and has not ended, with its limit in seconds."""
        lines = self.lines()
        if lines and lines[-1][0] == "start":
            return lines[-1][1], int(lines[-1][2])
        return "", 0

    def idle_s(self) -> float:
        """Seconds since the report grew."""
        return time.monotonic() - self.changed

    def ended(self) -> list[tuple[str, str, str]]:
        """The cases that have a verdict."""
        return [line for line in self.lines() if line[0] in ("pass", "fail", "skip")]

    def later(self) -> list[tuple[str, list[str]]]:
        """Kernel arguments and the cases that wait for them."""
        waiting = []
        for what, first, rest in self.lines():
            if what == "later":
                arguments, names = f"{first} {rest}".strip().split("|")
                waiting.append((arguments, names.split(",")))
        return waiting

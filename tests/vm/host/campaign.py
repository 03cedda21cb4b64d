"""All boots of one run, until every selected case has a verdict."""

from dataclasses import dataclass, field

from machine import Boot, Machine, boot
from shell import say

# The emulator sometimes dies before a case began; that is no verdict on the cases.
BOOTS_WITHOUT_CASE = 3


@dataclass
class Verdict:
    """Names of cases, by how they ended."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def line(self) -> str:
        """The closing line."""
        return (
            f"{len(self.passed)} passed, {len(self.failed)} failed, {len(self.skipped)} skipped"
        )


def campaign(machine: Machine, request: list[str]) -> Verdict:
    """Runs the requested cases; a guest that dies costs the case it was at, not the rest."""
    verdict = Verdict()
    groups = [("", request)]
    while groups:
        arguments, wanted = groups.pop(0)
        groups += _group(machine, arguments, wanted, verdict)
    return verdict


def _group(
    machine: Machine, arguments: str, wanted: list[str], verdict: Verdict
) -> list[tuple[str, list[str]]]:
    """Runs cases that share kernel arguments; returns the groups that these revealed."""
    done: list[str] = []
    fruitless, later = 0, []
    while True:
        flags = [f"--boot={arguments.replace(' ', '+')}", *(f"--done={name}" for name in done)]
        outcome = boot(machine, [*flags, *wanted], arguments)
        later = later or outcome.results.later()
        finished = [name for _, name, _ in outcome.results.ended()]
        _enter(outcome, verdict)
        culprit = outcome.results.running()[0]
        if not outcome.trouble:
            return later
        _tell(outcome, culprit)
        if culprit:
            verdict.failed.append(f"{culprit}: {outcome.trouble}")
            finished.append(culprit)
        done += finished
        fruitless = 0 if finished else fruitless + 1
        if fruitless == BOOTS_WITHOUT_CASE:
            verdict.failed.append(f"boot ({outcome.trouble})")
            return later


def _enter(outcome: Boot, verdict: Verdict) -> None:
    lists = {"pass": verdict.passed, "fail": verdict.failed, "skip": verdict.skipped}
    for what, name, reason in outcome.results.ended():
        lists[what].append(f"{name}: {reason}")


def _tell(outcome: Boot, culprit: str) -> None:
    say(f"--- {outcome.trouble}{f' in case {culprit}' if culprit else ''}; its last lines:")
    for line in outcome.tail:
        say(f"  | {line}")

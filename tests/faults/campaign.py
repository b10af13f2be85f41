"""Many rounds on each stack, and the report on them."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from tests.faults.arsenal import FAULTS
from tests.faults.battle import Audit, Round, audit, battlefield


@dataclass(frozen=True)
class Fight:
    """One fault as it is reported; ``store`` is the stack's."""

    store: str
    kind: str
    num_jobs: int
    num_in_flight: int
    recovery_s: float


@dataclass(frozen=True)
class Report:
    """Everything that happened."""

    fights: tuple[Fight, ...]
    audits: dict[str, Audit]

    @property
    def wrong(self) -> tuple[str, ...]:
        """What must not have been; empty is good."""
        return tuple(f"{store}: {one}" for store, found in self.audits.items() for one in found.wrong)


def schedule(store: str, num_faults: int, rng: random.Random) -> list[str]:
    """Kinds of faults in the order in which they come: each as often as its weight says, all of them early."""
    weights = {kind: weight for kind, (_, weight) in FAULTS[store].items()}
    kinds: list[str] = []
    while len(kinds) < num_faults:
        kinds += rng.sample(sorted(weights), len(weights))
        kinds += rng.choices(sorted(weights), [weights[kind] for kind in sorted(weights)], k=len(weights))
    return kinds[:num_faults]


def campaign(*, seed: int, num_faults: int, stores: Sequence[str], progress: TextIO | None = None) -> Report:
    """Fight on one stack after the other.

    Raises:
        Broken: a promise was.   NotInTime: something that had to happen did not; its message says what.
    """
    fights: list[Fight] = []
    audits: dict[str, Audit] = {}
    for place, store in enumerate(stores):
        number_here = num_faults // len(stores) + (place < num_faults % len(stores))
        rng = random.Random(f"{seed} {store}")
        with battlefield(store) as (stack, clients):
            told = []
            for number, kind in enumerate(schedule(store, number_here, rng)):
                fight = Round(number, kind, stack, clients, rng)
                inflict, _ = FAULTS[store][kind]
                try:
                    inflict(fight)
                except AssertionError as error:
                    words = "\n".join(f"── {name}\n{stack.last_words(name)}" for name in stack.members)
                    raise type(error)(f"seed {seed}, {store}, fault {number}: {error}\n{words}") from error
                told += fight.told
                done = Fight(store, kind, len(fight.told), fight.num_in_flight, fight.recovery_s)
                fights.append(done)
                if progress is not None:
                    progress.write(f"{store} {number + 1}/{number_here}: {kind}, over after {done.recovery_s:.1f} s\n")
                    progress.flush()
            audits[store] = audit(stack, told)
    return Report(tuple(fights), audits)


def lines(report: Report) -> Iterator[str]:
    """The report for a reader, as Markdown."""
    jobs = sum(fight.num_jobs for fight in report.fights)
    lost = sum(found.num_lost for found in report.audits.values())
    doubled = sum(found.num_doubled for found in report.audits.values())
    yield f"{len(report.fights)} faults over {jobs} jobs: {lost} lost, {doubled} doubled."
    yield ""
    yield "| fault | number | jobs in flight | recovery, median s | max s |"
    yield "|---|---:|---:|---:|---:|"
    for kind in sorted({fight.kind for fight in report.fights}):
        mine = [fight for fight in report.fights if fight.kind == kind]
        times = [fight.recovery_s for fight in mine]
        flight = sum(fight.num_in_flight for fight in mine)
        yield f"| {kind} | {len(mine)} | {flight} | {statistics.median(times):.1f} | {max(times):.1f} |"
    yield ""
    states: Counter[str] = sum((found.states for found in report.audits.values()), Counter())
    incidents: Counter[str] = sum((found.incidents for found in report.audits.values()), Counter())
    yield "| jobs that ended as | number |"
    yield "|---|---:|"
    yield from (f"| {state} | {number} |" for state, number in states.most_common())
    yield ""
    yield "| what the store counted | number |"
    yield "|---|---:|"
    yield from (f"| {kind} | {number} |" for kind, number in incidents.most_common())
    for one in report.wrong:
        yield f"- WRONG: {one}"

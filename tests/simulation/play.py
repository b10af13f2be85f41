"""Worlds one after the other, and what is said of them."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TextIO

from orchestrator.errors import StoreUnavailable
from orchestrator.runtime import RuntimeFailure
from tests.simulation.seams import Violation
from tests.simulation.world import Stage, World, simulated

SHARE = 50
"""Worlds that one process takes at a time."""

TAIL = 60
"""Steps of a story that are told of a failure."""


class Failed(AssertionError):
    """A world in which something happened that must not, with how to see it again."""

    def __init__(self, seed: int, why: str, story: Sequence[str]) -> None:
        told = "\n".join(story[-TAIL:])
        super().__init__(f"seed {seed}: {why}\nagain: python -m tests.simulation --seed {seed}\n{told}")
        self._parts = seed, why, story

    def __reduce__(self) -> tuple[type[Failed], tuple[int, str, Sequence[str]]]:
        """How it comes back from another process."""
        return Failed, self._parts


@dataclass(frozen=True)
class Summary:
    """What happened in many worlds."""

    num_worlds: int
    states: Counter[str]
    faults: Counter[str]
    happened: Counter[str]

    def __add__(self, other: Summary) -> Summary:
        """Both together."""
        return Summary(
            self.num_worlds + other.num_worlds,
            self.states + other.states,
            self.faults + other.faults,
            self.happened + other.happened,
        )

    @property
    def text(self) -> str:
        """For a reader."""
        lines = [
            f"{self.num_worlds} worlds, {self.states.total()} jobs, {self.faults.total()} faults, nothing violated"
        ]
        for title, counted in (("jobs", self.states), ("faults", self.faults), ("events", self.happened)):
            lines.append(title)
            lines += [f"  {name:<28}{number:>9}" for name, number in counted.most_common()]
        return "\n".join(lines)


def play_side_by_side(seeds: Sequence[int], *, num_processes: int, progress: TextIO) -> Summary:
    """Run many worlds in several processes.

    Raises:
        Failed: as :func:`play`.
    """
    shares = [seeds[first : first + SHARE] for first in range(0, len(seeds), SHARE)]
    total = Summary(0, Counter(), Counter(), Counter())
    with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn")) as pool:
        try:
            for summary in pool.map(play, shares):
                total += summary
                progress.write(f"\r{total.num_worlds} of {len(seeds)} worlds, {total.states.total()} jobs")
                progress.flush()
        finally:
            pool.shutdown(cancel_futures=True)
    progress.write("\n")
    return total


def play(seeds: Sequence[int], *, tell: Callable[[str], object] | None = None) -> Summary:
    """Run one world for each seed.

    Raises:
        Failed: at the first one in which something is violated.
    """
    states: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="qorch-simulation-") as folder, closing(Stage(Path(folder))) as stage:
        for seed in seeds:
            world = World(seed, stage)
            try:
                with simulated(world), _overheard(world.complaints):
                    report = world.run(world.rng.randint(40, 140))
            except Violation as violation:
                raise Failed(seed, str(violation), world.log) from violation
            finally:
                if tell is not None:
                    tell("\n".join(world.log))
            states += report.states
            faults += report.faults
            happened += report.happened
    return Summary(len(seeds), states, faults, happened)


class _Ear(logging.Handler):
    """Hears of errors that the trip survived, but that should not have been."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._complaints = complaints

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        errors = [argument for argument in arguments if isinstance(argument, BaseException)]
        if record.exc_info is not None and record.exc_info[1] is not None:
            errors.append(record.exc_info[1])
        for error in errors:
            meant = str(error) in ("nobody foresaw this", "no mood")
            if not meant and not isinstance(error, StoreUnavailable | RuntimeFailure):
                self._complaints.append(f"{record.getMessage()}: {type(error).__name__}: {error}")


@contextmanager
def _overheard(complaints: list[str]) -> Iterator[None]:
    ear, logger = _Ear(complaints), logging.getLogger("qorch")
    before = logger.propagate
    logger.addHandler(ear)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(ear)

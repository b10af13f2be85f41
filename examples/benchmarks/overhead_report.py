"""What ``overhead.py`` measured: figures per round, their medians and intervals, and how they stand to the targets."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from evidence import results
from overhead_bare import BELL, DISTINCT, NOOP
from rich.console import Console
from rich.table import Table

RESAMPLES = 2_000
SEED = 7
COLUMNS = "figure program system unit rounds median low high per_round"

UNITS = {
    "one by one": "jobs/s",
    "batch": "jobs/s",
    "latency p50": "ms",
    "latency p95": "ms",
    "notification p50": "ms",
    "notification p95": "ms",
    "memory of the client": "MiB per 10 000 jobs",
    "memory of the workers": "MiB per 10 000 jobs",
    "store": "kB per 1 000 jobs",
    "one by one, full over fresh": "ratio",
    "batch, full over fresh": "ratio",
    "estimates in placement": "1/s",
    "estimates of the cost model": "1/s",
    "decisions of eft": "1/s",
    "placed": "jobs/s",
    "one by one, of bare": "ratio",
    "batch, of bare one by one": "ratio",
    "latency p50, added to bare": "ms",
    "estimates in placement, each": "ms",
}
"""Figures -> their unit. The last four are derived from the others."""


class Key(NamedTuple):
    """What was measured, with which program, of which system."""

    figure: str
    program: str
    system: str


@dataclass
class Figures:
    """Values by key, one a round, in the order of the rounds."""

    values: dict[Key, list[float]] = field(default_factory=dict)

    def add(self, figure: str, program: str, system: str, value: float) -> None:
        """Append the value of one round."""
        self.values.setdefault(Key(figure, program, system), []).append(value)

    def of(self, figure: str) -> dict[Key, list[float]]:
        """Every program's and system's values of a figure."""
        return {key: values for key, values in self.values.items() if key.figure == figure}

    def derive(self) -> None:
        """Compare with bare Celery, round by round. Bare is its best pool, for each figure and program anew."""
        self._against("one by one", "one by one", operator.truediv, "one by one, of bare", max)
        self._against("batch", "one by one", operator.truediv, "batch, of bare one by one", max)
        self._against("latency p50", "latency p50", operator.sub, "latency p50, added to bare", min)
        for key, values in self.of("estimates in placement").items():
            self.values[key._replace(figure="estimates in placement, each")] = [1e3 / value for value in values]

    def _against(
        self,
        figure: str,
        of_bare: str,
        compare: Callable[[float, float], float],
        name: str,
        best: Callable[..., Key],
    ) -> None:
        for key, values in self.of(figure).items():
            program = BELL.name if key.program == DISTINCT else key.program
            pools = [k for k in self.of(of_bare) if k.program == program and k.system.startswith("bare")]
            if pools and not key.system.startswith("bare"):
                peer = self.values[best(pools, key=lambda pool: median(self.values[pool]))]
                self.values[key._replace(figure=name)] = [compare(*pair) for pair in zip(values, peer, strict=True)]


class Spread(NamedTuple):
    """A median, and the interval that holds it with 95 % confidence."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """By percentile bootstrap over the rounds."""
        drawn = np.random.default_rng(SEED).choice(values, (RESAMPLES, len(values)))
        low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
        return Spread(median(values), float(low), float(high))

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}–{_short(self.high)})"


@dataclass(frozen=True)
class Target:
    """What the median of a figure should be. A no-op has none: bare Celery does nothing there, we run a circuit."""

    figure: str
    holds: Callable[[float, float], bool]
    wanted: float

    def __str__(self) -> str:
        return f"{'≥' if self.holds is operator.ge else '≤'} {self.wanted:,g}"


TARGETS = (
    Target("one by one, of bare", operator.ge, 0.67),
    Target("latency p50, added to bare", operator.le, 5.0),
    Target("notification p95", operator.le, 20.0),
    Target("batch, of bare one by one", operator.ge, 4.0),
    Target("one by one, full over fresh", operator.ge, 0.8),
    Target("batch, full over fresh", operator.ge, 0.8),
    Target("estimates in placement, each", operator.le, 0.3),
    Target("decisions of eft", operator.ge, 100_000.0),
)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _rows(figures: Figures) -> Iterator[tuple[Key, Spread]]:
    for figure in UNITS:
        for key, values in figures.of(figure).items():
            yield key, Spread.of(values)


def write(figures: Figures, name: str, folder: Path, *, seeds: str) -> None:
    """Everything as CSV, with the value of each round."""
    with results(name, COLUMNS.split(), seeds=seeds, folder=folder) as table:
        for key, spread in _rows(figures):
            values = figures.values[key]
            numbers = [f"{number:.5g}" for number in spread]
            each = " ".join(f"{value:.5g}" for value in values)
            table.writerow([*key, UNITS[key.figure], len(values), *numbers, each])


def show(figures: Figures, console: Console) -> None:
    """Two tables: the medians, and the targets beside what was measured."""
    systems = list(dict.fromkeys(key.system for key in figures.values))
    table = Table("figure", "program", *systems, "unit", title="Medians over the rounds")
    for figure in UNITS:
        for program in dict.fromkeys(key.program for key in figures.of(figure)):
            given = [figures.values.get(Key(figure, program, system)) for system in systems]
            table.add_row(figure, program, *(_short(median(v)) if v else "" for v in given), UNITS[figure])
    console.print(table)
    table = Table("figure", "program", "system", "target", "measured (95 %)", "unit", "", title="Targets")
    for target in TARGETS:
        for key, values in figures.of(target.figure).items():
            if key.program != NOOP.name:
                spread = Spread.of(values)
                met = "[green]met[/]" if target.holds(spread.median, target.wanted) else "[red]missed[/]"
                table.add_row(*key, str(target), str(spread), UNITS[key.figure], met)
    console.print(table)

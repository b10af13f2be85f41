"""What a contest comes to: costs with intervals, reductions against every baseline, and the distance to the optimum.

The normalised score is 0 at the best of the naive baselines and 1 at the optimum (ours, after Agarwal et al. 2021):

    score = (C_naive - C) / (C_naive - C_opt)

Intervals are bootstrapped over slots and runs, paired: see :func:`policies.learners.kit.statistics.resampled`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.envs import load
from policies.envs.contest import OPTIMUM, Cell, Played
from policies.learners.kit.statistics import (
    interquartile_mean,
    interval,
    probability_of_improvement,
    resampled,
    stratified_bootstrap,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Around:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """A policy in a cell.

    Attributes:
        cell, policy: which.   num_runs: trainings behind it; 1 of a rule.
        cost: mean system cost of a slot, the interquartile mean over runs.   naive: the best naive baseline's name.
        below: by baseline, the share of its cost that is saved.   above_optimum: share of the optimum that is lost.
        score: normalised; None without the optimum or naive baselines.   scores: of each run.
    """

    cell: Cell
    policy: str
    num_runs: int
    cost: Around
    naive: str | None
    below: Mapping[str, Around]
    above_optimum: Around | None
    score: Around | None
    scores: tuple[float, ...]


def rows_of(cell: Cell, played: Played) -> list[Row]:
    """Everybody in a cell, the cheapest first."""
    value, draws = resampled(played)
    world = load(cell.env)
    naive = min((name for name in world.naive if name in value), key=lambda name: value[name], default=None)
    found = []
    for policy, costs in played.items():

        def around(of: Any, policy: str = policy) -> Around:
            return Around(float(of(value, policy)), *interval(of(draws, policy)))

        below = {
            name: around(lambda costs, mine, name=name: 1.0 - costs[mine] / costs[name])
            for name in world.rules
            if name in value
        }
        scored = naive is not None and OPTIMUM in value and value[naive] > value[OPTIMUM]
        found.append(
            Row(
                cell,
                policy,
                len(costs),
                around(lambda costs, mine: costs[mine]),
                naive,
                below,
                around(lambda costs, mine: costs[mine] / costs[OPTIMUM] - 1.0) if OPTIMUM in value else None,
                around(lambda costs, mine: _score(costs[mine], costs[str(naive)], costs[OPTIMUM])) if scored else None,
                tuple(_score(costs.mean(axis=1), value[str(naive)], value[OPTIMUM]).tolist()) if scored else (),
            )
        )
    return sorted(found, key=lambda row: row.cost.value)


def _score(cost: Any, naive: Any, best: Any) -> Any:
    return (naive - cost) / (naive - best)


@dataclass(frozen=True)
class Overall:
    """A policy over all cells that it played in.

    Attributes:
        policy: which.   num_runs, num_cells: behind it.   score: interquartile mean of runs and cells.
        beats: by policy of the same cells, the chance that a run of this one scores more.
    """

    policy: str
    num_runs: int
    num_cells: int
    score: Around
    beats: Mapping[str, float]


def overall(rows: Sequence[Row]) -> list[Overall]:
    """Interquartile mean of normalised scores over runs and cells, the best first."""
    scores: dict[str, dict[Cell, tuple[float, ...]]] = {}
    for row in rows:
        if row.scores:
            scores.setdefault(row.policy, {})[row.cell] = row.scores
    tables: dict[str, tuple[tuple[Cell, ...], Floats]] = {}
    for policy, cells in scores.items():
        num_runs = min(len(each) for each in cells.values())
        tables[policy] = tuple(cells), np.array([each[:num_runs] for each in cells.values()]).T
    found = []
    for policy, (mine, table) in tables.items():
        around = Around(float(interquartile_mean(table)), *stratified_bootstrap(table))
        same = {name: other for name, (theirs, other) in tables.items() if theirs == mine and name != policy}
        beats = {name: probability_of_improvement(table, other) for name, other in same.items()}
        found.append(Overall(policy, table.shape[0], table.shape[1], around, beats))
    return sorted(found, key=lambda one: -one.score.value)


def document(row: Row) -> dict[str, Any]:
    """A row as one flat record of a CSV or of JSON."""
    setting = row.cell.setting
    delay, energy = row.cell.weights
    flat: dict[str, Any] = {
        "env": row.cell.env,
        "mode": setting.model.mode,
        "users": setting.users,
        "servers": setting.servers,
        "delay_weight": delay,
        "energy_weight": energy,
        "num_slots": row.cell.num_slots * len(row.cell.seeds),
        "policy": row.policy,
        "num_runs": row.num_runs,
        **_flat("cost", row.cost),
        "best_naive": row.naive,
        **_flat("below_best_naive", row.below[row.naive] if row.naive else None),
    }
    for name in load(row.cell.env).rules:
        flat.update(_flat(f"below_{name}", row.below.get(name)))
    return flat | _flat("above_optimum", row.above_optimum) | _flat("score", row.score)


def _flat(name: str, around: Around | None) -> dict[str, float | None]:
    values = (around.value, around.low, around.high) if around else (None, None, None)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """All rows, one a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        flat = [document(row) for row in rows]
        table = csv.DictWriter(file, list(flat[0]), lineterminator="\n")
        table.writeheader()
        table.writerows([{name: _short(value) for name, value in one.items()} for one in flat])


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value

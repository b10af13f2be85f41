"""What the grid's runs say, in numbers: every cell, who wins and by how much, and tests.

In words: :mod:`policies.allocators.dpem.grid_words`; drawn: :mod:`policies.allocators.dpem.grid_pictures`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.errors import InvalidParameter
from policies.allocators.contenders import CONTENDERS, Contender
from policies.allocators.dpem.grid import BOUND, CELL, METRICS, WALL, Cell, job_of, known, put, read
from policies.allocators.dpem.grid_agents import agent_of
from policies.significance import holm, not_inferior, paired, ratio

Floats = NDArray[np.float64]
MARGIN = 0.01
"""Of non-inferiority in delivery (protocol)."""
ELSE = Contender(lambda *_: _nothing())
"""What a learned policy knows of a cell: delay, not period."""
COMPARED = ("gain", "gain_low", "gain_high", "p", "p_holm", "p_not_inferior", "c_gain", "c_low", "c_high")
COLUMNS = (*CELL, "policy", "hold", "topologies", *METRICS, "delivery_pm", *WALL, *COMPARED)
CENTRES = ("central_full", "central_grant", "central_hybrid", "central_static", "te", "qprimaldual")


def _nothing() -> Any:
    raise InvalidParameter("policy: wanted one that can be played, got the row of a table")


@dataclass(frozen=True)
class Found:
    """All runs.

    Attributes:
        scores: by reduced cell, policy and hold: by training seed ("" of rules): by topology, rows of the metrics of
            each physics seed.
        cells: the cells that there are.   policies: names, in the order of the tables.
    """

    scores: Mapping[tuple[Any, ...], Mapping[str, Mapping[int, list[list[float]]]]]
    cells: tuple[Cell, ...]
    policies: tuple[str, ...]

    def each(self, cell: Cell, policy: str, hold: int) -> dict[str, dict[int, Floats]]:
        """Metrics and wall times by training seed and topology, means over physics seeds."""
        there = known(cell, None if policy == BOUND else CONTENDERS.get(policy, ELSE))
        return {
            trained: {seed: np.array(rows, dtype=np.float64).mean(axis=0) for seed, rows in sorted(by_seed.items())}
            for trained, by_seed in sorted(self.scores.get((there, policy, hold), {}).items())
        }

    def of(self, cell: Cell, policy: str, hold: int) -> dict[int, Floats]:
        """Means over training seeds by topology, where all of them have been."""
        every = list(self.each(cell, policy, hold).values())
        both = sorted(set.intersection(*map(set, every))) if every else []
        return {seed: np.mean([scores[seed] for scores in every], axis=0) for seed in both}


def gathered(rows: Iterable[Mapping[str, str]]) -> Found:
    """Runs by cell; cells are those of whoever knows most of them."""
    scores: dict[tuple[Any, ...], dict[str, dict[int, list[list[float]]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    cells: set[tuple[float, ...]] = set()
    names = []
    for row in rows:
        job = job_of(row)
        values = [float(row[name] or "nan") for name in (*METRICS, *WALL)]
        name, trained = agent_of(job.policy)
        scores[job.cell, name, job.hold][trained][job.seed].append(values)
        names.append(name)
        if job.policy in CONTENDERS and CONTENDERS[job.policy].least_period_s == 0.0:
            cells.add(job.cell if CONTENDERS[job.policy].knows_period else ())
    whole = {cell for cell in cells if cell} or {cell for cell, *_ in scores}
    order = [*CONTENDERS, *sorted(set(names) - set(CONTENDERS) - {BOUND}), BOUND]
    found = tuple(Cell.read(cell) for cell in sorted(whole))
    return Found(scores, found, tuple(name for name in order if name in names))


def table(found: Found, against: str) -> list[dict[str, Any]]:
    """A row for each cell, policy and hold, with the gain of ``against`` over it on the topologies of both."""
    rows = []
    holds = sorted({hold for _, _, hold in found.scores})
    for cell in found.cells:
        ours = found.of(cell, against, 1)
        for policy in found.policies:
            for hold in holds:
                theirs = found.of(cell, policy, hold)
                if theirs:
                    rows.append(_row(cell, policy, hold, theirs, ours if (policy, hold) != (against, 1) else {}))
    by_policy: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["p"] != "":
            by_policy[row["policy"], row["hold"]].append(row)
    for same in by_policy.values():
        for row, p in zip(same, holm([row["p"] for row in same]), strict=True):
            row["p_holm"] = p
    return rows


def _row(cell: Cell, policy: str, hold: int, theirs: dict[int, Floats], ours: dict[int, Floats]) -> dict[str, Any]:
    every = np.array(list(theirs.values()))
    row: dict[str, Any] = dict.fromkeys(COLUMNS, "")
    row |= dict(zip(CELL, astuple(cell), strict=True))
    row |= {"policy": policy, "hold": hold, "topologies": len(theirs)}
    means = every.mean(axis=0)
    row |= {name: "" if np.isnan(x) else float(x) for name, x in zip((*METRICS, *WALL), means, strict=True)}
    if len(theirs) > 1 and np.isfinite(every[:, 0]).all():
        row["delivery_pm"] = paired(every[:, 0], np.zeros(len(every))).high - means[0]
    both = [seed for seed in theirs if seed in ours and np.isfinite(ours[seed][0]) and np.isfinite(theirs[seed][0])]
    if len(both) < 2 or policy == BOUND:
        return row
    mine, its = (np.array([each[seed][:2] for seed in both]) for each in (ours, theirs))
    if its[:, 0].mean() > 0.0:
        more = ratio(mine[:, 0], its[:, 0])
        row |= {"gain": more.gain, "gain_low": more.low, "gain_high": more.high}
        row |= {"p": paired(mine[:, 0], its[:, 0]).p, "p_not_inferior": not_inferior(mine[:, 0], its[:, 0], MARGIN)}
    if np.isfinite((mine[:, 1], its[:, 1])).all() and its[:, 1].mean() > 0.0:
        less = ratio(mine[:, 1], its[:, 1])
        row |= {"c_gain": less.gain, "c_low": less.low, "c_high": less.high}
    return row


def write(out: Path, against: str) -> dict[str, Any]:
    """Cells, words and figures beside the runs; how much there is.

    Raises:
        InvalidParameter: there are no runs, or none of ``against``.
    """
    found = gathered(read(out / "runs.csv"))
    if against not in found.policies:
        known_names = ", ".join(found.policies) or "none"
        raise InvalidParameter(f"against: wanted a policy with runs in {out} ({known_names}), got {against!r}")
    from policies.allocators.dpem.grid_pictures import drawn
    from policies.allocators.dpem.grid_words import words

    rows = table(found, against)
    put(out / "cells.csv", COLUMNS, rows)
    (out / "grid.md").write_text(words(found, rows, against))
    return {"cells": len(rows), "against": against, "pictures": drawn(out, found, rows, against)}


def cell_of(row: Mapping[str, Any]) -> Cell:
    """A row's."""
    return Cell(**{name: row[name] for name in CELL})


def ours_of(found: Found, against: str) -> tuple[str, ...]:
    """Who is compared with all others: every trained agent if ``against`` is one, else it alone."""
    agents = tuple(name for name in found.policies if name not in CONTENDERS and name != BOUND)
    return agents if against in agents else (against,)

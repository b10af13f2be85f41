"""Tables and pictures of a contest: costs over the optimum, and how often each policy comes how close to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from policies.envs import load
from policies.envs.contest import OPTIMUM, Cell, Played
from policies.envs.scores import Around, Overall, Row
from policies.learners.kit.statistics import performance_profile
from policies.pictures import TONES, picture

NEAREST = 1e-3
"""Left end of the axes of distances to the optimum."""
ROOM = 8.0
"""Right of the longest bar, for its number."""


def title(cell: Cell) -> str:
    """A cell in words."""
    delay, energy = cell.weights
    return f"U = {cell.setting.users}, E = {cell.setting.servers}, λ = ({delay:g}, {energy:g})"


def table(cell: Cell, rows: Sequence[Row]) -> Table:
    """A cell for a person."""
    num_slots = cell.num_slots * len(cell.seeds)
    naive = rows[0].naive or "naive"
    words = f"{cell.env}, {cell.setting.model.mode}: {title(cell)}; {num_slots} paired slots"
    found = _blank(words)
    compared = (naive, *load(cell.env).compared)
    for name in ("runs", "mean cost", *(f"below\n{each}" for each in compared), "above\noptimum", "score"):
        found.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        found.add_row(
            row.policy,
            str(row.num_runs),
            _plus_minus(row.cost, cost_form(row.cost.value)),
            *(_percent(row.below.get(name)) for name in compared),
            _plus_minus(row.above_optimum, "{:.1%}"),
            f"{row.score.value:.3f}" if row.score else "",
        )
    return found


def _blank(title: str) -> Table:
    found = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    found.add_column("policy", no_wrap=True)
    return found


def _plus_minus(around: Around | None, form: str) -> str:
    """A value and half of its 95 % interval."""
    return f"{form.format(around.value)} ± {form.format((around.high - around.low) / 2.0)}" if around else ""


def _percent(around: Around | None) -> str:
    if around is None:
        return ""
    return f"{around.value:.{1 if abs(around.value) < 9.995 else 0}%}"


def overall_table(found: Sequence[Overall]) -> Table:
    """Everybody over all cells."""
    table = _blank("all cells")
    for name in ("runs", "cells", "score (IQM)", "chance to beat\nthe next"):
        table.add_column(name, justify="right", no_wrap=True)
    for place, one in enumerate(found):
        after = found[place + 1].policy if place + 1 < len(found) else ""
        beats = f"{one.beats[after]:.0%}" if after in one.beats else ""
        score = _plus_minus(one.score, "{:.3f}") if one.num_runs > 1 else f"{one.score.value:.3f}"
        table.add_row(one.policy, str(one.num_runs), str(one.num_cells), score, beats)
    return table


def cost_form(cost: float) -> str:
    """How a cost is written: a tenth where there are hundreds, else so that a thousandth of it is seen."""
    return "{:.1f}" if cost >= 100.0 else "{:.3f}"


def colours(policies: Sequence[str], env: str = "MEQC-v1") -> dict[str, str]:
    """A tone for each policy, the same in all pictures of a world's contests."""
    rules = load(env).rules
    others = [name for name in (*rules, *sorted(set(policies) - {*rules, OPTIMUM})) if name in policies]
    return {name: TONES[number % len(TONES)] for number, name in enumerate(others)} | {OPTIMUM: "#222222"}


def _grid(cells: Sequence[Cell]) -> tuple[list[tuple[int, int]], list[tuple[float, float]]]:
    sizes = list(dict.fromkeys((cell.setting.users, cell.setting.servers) for cell in cells))
    return sizes, list(dict.fromkeys(cell.weights for cell in cells))


def draw_costs(rows: Sequence[Row], path: Path) -> None:
    """Bars of the distance to the optimum with 95 % intervals, a panel a cell; logarithmic."""
    cells = list(dict.fromkeys(row.cell for row in rows))
    (sizes, weights), tones = _grid(cells), colours([row.policy for row in rows], cells[0].env)
    policies = [name for name in tones if name != OPTIMUM]
    height = 1.1 + len(sizes) * (0.6 + 0.24 * len(policies))
    with picture(path, len(sizes), len(weights), (2.2 + 3.3 * len(weights), height), sharex=True) as (figure, axes):
        for cell in cells:
            axis = axes[sizes.index((cell.setting.users, cell.setting.servers))][weights.index(cell.weights)]
            mine = {row.policy: row for row in rows if row.cell == cell}
            for place, policy in enumerate(reversed(policies)):
                if policy in mine:
                    _bar(axis, place, mine[policy], tones[policy])
            first = weights.index(cell.weights) == 0
            axis.set_yticks(range(len(policies)), list(reversed(policies)) if first else [""] * len(policies))
            axis.set_title(title(cell), fontsize=9)
            axis.set_xscale("log")
            axis.set_xlim(NEAREST, ROOM * max(row.above_optimum.high for row in rows if row.above_optimum))
            axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
        figure.supxlabel("mean cost above the optimum, with 95 % intervals over slots and runs", fontsize=10)


def _bar(axis: Any, place: int, row: Row, tone: str) -> None:
    assert row.above_optimum is not None
    ends = [max(end, NEAREST) for end in (row.above_optimum.low, row.above_optimum.value, row.above_optimum.high)]
    axis.barh(place, ends[1] - NEAREST, left=NEAREST, color=tone, height=0.66)
    axis.plot([ends[0], ends[2]], [place, place], color="#333333", linewidth=1.1)
    axis.annotate(f" {_percent(row.above_optimum)}", (max(ends[1:]), place), va="center", fontsize=7.5, color="#444444")


def draw_profiles(played: Mapping[Cell, Played], path: Path) -> None:
    """Of every policy and distance, the share of slots that come that close to the optimum, a panel a cell."""
    cells = list(played)
    (sizes, weights), tones = _grid(cells), colours([name for each in played.values() for name in each], cells[0].env)
    thresholds = np.geomspace(NEAREST, 1e2, 200)
    size = (1.6 + 3.4 * len(weights), 1.4 + 2.5 * len(sizes))
    with picture(path, len(sizes), len(weights), size, sharex=True, sharey=True) as (figure, axes):
        for cell, costs in played.items():
            axis = axes[sizes.index((cell.setting.users, cell.setting.servers))][weights.index(cell.weights)]
            for policy, each in costs.items():
                if policy != OPTIMUM:
                    within = 1.0 - performance_profile(each / costs[OPTIMUM] - 1.0, thresholds)
                    axis.plot(thresholds, within, color=tones[policy], label=policy, linewidth=1.6)
            axis.set_xscale("log")
            axis.set_xticks([1e-3, 1e-1, 1e1], ["0.1 %", "10 %", "1000 %"])
            axis.set_title(title(cell), fontsize=9)
            axis.grid(color="#e6e6e6", linewidth=0.6)
        lines, names = axes[0][0].get_legend_handles_labels()
        figure.legend(lines, names, frameon=False, loc="outside right upper")
        figure.supxlabel("cost above the slot's optimum, at most", fontsize=10)
        figure.supylabel("share of slots", fontsize=10)

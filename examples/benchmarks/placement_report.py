"""Tables and picture of the placement benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from policies.pictures import STYLE, TONES
from workers.compare.contest import BASELINE
from workers.compare.report import around
from workers.compare.standings import Mean, Score, mean

FCFS = "best_fidelity"
"""What users do by hand: wait for the best device."""


@dataclass(frozen=True)
class Cell:
    """One policy in one world."""

    fleet: str
    load: str
    start: str
    score: Score

    @property
    def group(self) -> tuple[str, str, str]:
        """What the seeds have in common."""
        return self.fleet, self.start, self.load


def consistent(cells: Sequence[Cell]) -> list[Cell]:
    """The cells with the best schedule known of each world, whoever found it, whatever was known at the start."""
    best: dict[tuple[str, str, int], float] = {}
    for cell in cells:
        one, world = cell.score, (cell.fleet, cell.load, cell.score.seed)
        if one.best is not None:
            least = one.best if one.num_failed else min(one.best, one.cost)
            best[world] = min(least, best.get(world, least))
    return [
        replace(cell, score=replace(cell.score, best=best.get((cell.fleet, cell.load, cell.score.seed))))
        for cell in cells
    ]


def groups(cells: Sequence[Cell]) -> list[tuple[str, str, str]]:
    """Every group, in order."""
    return list(dict.fromkeys(cell.group for cell in cells))


def ratio(
    cells: Sequence[Cell], group: tuple[str, str, str], policy: str, other: str, figure: Callable[[Score], float]
) -> Mean | None:
    """Of a figure of two policies, paired by seed; None where one did not play."""
    mine = {cell.score.seed: cell.score for cell in cells if cell.group == group and cell.score.policy == policy}
    its = {cell.score.seed: cell.score for cell in cells if cell.group == group and cell.score.policy == other}
    seeds = sorted(mine.keys() & its.keys())
    return mean([figure(mine[seed]) / figure(its[seed]) for seed in seeds]) if seeds else None


def regret(cells: Sequence[Cell], group: tuple[str, str, str], policy: str, *, bound: bool = False) -> Mean:
    """Mean cost over that of the best schedule known, or over the bound, less one."""
    mine = [cell.score for cell in cells if cell.group == group and cell.score.policy == policy]
    least = [one.bound if bound else one.best for one in mine]
    return mean([one.cost / low - 1.0 for one, low in zip(mine, least, strict=True) if low])


def _over_best(cells: Sequence[Cell], group: tuple[str, str, str], policy: str) -> Mean | None:
    found = regret(cells, group, policy)
    return replace(found, value=1.0 + found.value) if found else None


def chosen(tuning: Sequence[Cell], policies: Sequence[str]) -> str:
    """The policy with the lowest cost over the baseline's, in the mean over all groups."""

    def over(policy: str) -> float:
        found = [ratio(tuning, group, policy, BASELINE, lambda one: one.cost) for group in groups(tuning)]
        return sum(one.value if one else 1e9 for one in found) / len(found)

    return min(policies, key=over)


def write_table(
    tuning: Sequence[Cell], reported: Sequence[Cell], policies: Sequence[str], path: Path, about: Sequence[str]
) -> None:
    """What was aimed at and what was reached, and every policy beside the baseline and the best schedule known."""
    best = chosen(tuning, policies)
    lines = [
        "# Placement, measured",
        "",
        *about,
        "",
        f"## `{best}`, chosen on the tuning seeds, against the targets",
        "",
    ]
    lines += _table(
        ("fleet, start, load", f"cost / {BASELINE}", f"completion / {FCFS}", f"fidelity / {FCFS}", "regret",
         "over the bound", "below its floor", f"{BASELINE} below"),
        [
            [
                ", ".join(group),
                around(ratio(reported, group, best, BASELINE, lambda one: one.cost), "{:.3f}"),
                around(ratio(reported, group, best, FCFS, lambda one: one.latency_s), "{:.3f}"),
                around(ratio(reported, group, best, FCFS, lambda one: one.fidelity), "{:.4f}"),
                around(regret(reported, group, best), "{:.1%}"),
                around(regret(reported, group, best, bound=True), "{:.1%}"),
                _below(reported, group, best),
                _below(reported, group, BASELINE),
            ]
            for group in groups(reported)
        ],
    )  # fmt: skip
    lines += ["", "## Jobs whose result was below their floor, of the placed ones that have one", ""]
    lines += _table(
        ("fleet, start, load", *policies),
        [[", ".join(group), *(_below(reported, group, policy) for policy in policies)] for group in groups(reported)],
    )
    lines += ["", f"## Mean cost over that of `{BASELINE}`", ""]
    lines += _matrix(reported, policies, lambda g, p: ratio(reported, g, p, BASELINE, lambda one: one.cost), "{:.3f}")
    lines += ["", "## Mean cost over that of the best schedule known", ""]
    lines += _matrix(reported, policies, lambda group, policy: _over_best(reported, group, policy), "{:.3g}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _below(cells: Sequence[Cell], group: tuple[str, str, str], policy: str) -> str:
    """How many of the placed jobs with a floor had a worse result, and how many could not be placed at all."""
    mine = [cell.score for cell in cells if cell.group == group and cell.score.policy == policy]
    broken, floors = sum(one.num_broken for one in mine), sum(one.num_floors for one in mine)
    failed = sum(one.num_failed for one in mine)
    refused = f", {failed} refused" if failed else ""
    return f"{broken} of {floors}{refused}" if floors else "—"


def _matrix(
    cells: Sequence[Cell],
    policies: Sequence[str],
    figure: Callable[[tuple[str, str, str], str], Mean | None],
    form: str,
) -> list[str]:
    rows = [
        [
            ", ".join(group),
            *("—" if (one := figure(group, policy)) is None else form.format(one.value) for policy in policies),
        ]
        for group in groups(cells)
    ]
    return _table(("fleet, start, load", *policies), rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (columns, ["---"] * len(columns), *rows)]


def draw(cells: Sequence[Cell], policies: Sequence[str], path: Path) -> None:
    """Cost over that of the best schedule known, of each policy, fleet and load."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator

    fleets = list(dict.fromkeys(cell.fleet for cell in cells))
    loads = list(dict.fromkeys(cell.load for cell in cells))
    starts = list(dict.fromkeys(cell.start for cell in cells))
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(fleets), len(loads), figsize=(13, 1.2 + 3.2 * len(fleets)), layout="constrained", squeeze=False
        )
        for row, fleet in enumerate(fleets):
            for column, load in enumerate(loads):
                axis = axes[row][column]
                for shift, start in enumerate(starts):
                    for place, policy in enumerate(reversed(policies)):
                        found = regret(cells, (fleet, start, load), policy)
                        low, high = (1.0 + (end if end is not None else found.value) for end in (found.low, found.high))
                        at, tone = place + 0.17 - 0.34 * shift, TONES[shift]
                        label = start if not place else None
                        axis.barh(at, found.value, left=1.0, height=0.32, color=tone, label=label)
                        axis.plot([max(low, 1.0), high], [at, at], color="#333333", linewidth=1.2)
                axis.set_xscale("log")
                axis.axvline(1.1, color="#999999", linewidth=0.8, linestyle=":")
                axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                axis.xaxis.set_major_formatter("{x:g}")
                axis.xaxis.set_minor_formatter("")
                axis.set_yticks(range(len(policies)), list(reversed(policies)) if not column else [])
                axis.set_title(f"{fleet}, {load}")
        bars, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(bars, labels, frameon=False, ncols=2, loc="outside upper right", title="known at the start")
        figure.supxlabel(
            "mean cost over that of the best schedule known, 95 % interval over seeds; dotted: 10 % regret"
        )
        figure.savefig(path, dpi=130)
        plt.close(figure)

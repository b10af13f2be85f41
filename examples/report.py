"""Tables and one picture from the rows of a comparison of policies."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table

from policies.pictures import STYLE

mpl.use("Agg")
from matplotlib import pyplot as plt

Row = dict[str, Any]

POLICY_COLOURS = ["#b8bec6", "#d9b44a", "#7fa98c", "#c8553d", "#35618f", "#7b5ea7"]
SIMULATOR_COLOURS = ["#d6e4f0", "#a9c7e0", "#78a6cd", "#4a83b5", "#2f5f8a", "#1d4166"]
DEVICE_COLOURS = ["#e8a87c", "#c8553d", "#8c2f1b"]
RESAMPLES = 2000

SUMMARY = (
    *("policy", "num_jobs", "mean_cost", "cost_low_95", "cost_high_95", "latency_p50_s", "latency_p95_s"),
    *("mean_fidelity", "mean_energy_j", "mean_cost_usd", "mean_regret"),
    *("time_factor_early", "time_factor_late", "time_factor_late_prior", "fidelity_error_early", "fidelity_error_late"),
)
"""Columns of the summary."""


def _done(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["cost"] is not None]


def _by_policy(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in _done(rows):
        groups.setdefault(row["policy"], []).append(row)
    return groups


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % bootstrap interval of the mean (percentiles, 2 000 resamples, seed 0)."""
    sample = np.random.default_rng(0).choice(np.asarray(values), (RESAMPLES, len(values)))
    low, high = np.percentile(sample.mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def _measured(rows: Sequence[Row], field: str) -> list[float]:
    return [row["measurement"][field] for row in rows if row["measurement"][field] is not None]


def outcome_table(rows: Sequence[Row]) -> Table:
    """What each policy's jobs cost."""
    table = _table(
        "Same jobs, same arrivals: what each policy made of them",
        ("cost", "±95 %", "latency\np50, s", "\np95, s", "fidelity", "energy\nJ", "price\nUSD", "regret"),
    )
    for policy, mine in sorted(_by_policy(rows).items(), key=lambda item: np.mean([r["cost"] for r in item[1]])):
        costs = [row["cost"] for row in mine]
        latency_s = _measured(mine, "latency_s")
        regrets = [row["regret"] for row in mine if row["regret"] is not None]
        low, high = interval(costs)
        table.add_row(
            policy,
            f"[bold]{np.mean(costs):.2f}[/]",
            f"{(high - low) / 2:.2f}",
            f"{np.percentile(latency_s, 50):.2f}",
            f"{np.percentile(latency_s, 95):.2f}",
            f"{np.mean(_measured(mine, 'fidelity')):.3f}",
            f"{np.mean(_measured(mine, 'energy_j')):.0f}",
            f"{np.mean(_measured(mine, 'cost_usd')):.3f}",
            f"{np.mean(regrets):.2f}" if regrets else "–",
        )
    table.caption = "Means per job. Regret: cost above the best backend's, found afterwards on a sample, unqueued."
    return table


def write_summary(rows: Sequence[Row], path: Path, about: dict[str, Any]) -> None:
    """What a text may quote: one line a policy, with where and how it was measured above it."""
    with path.open("w", newline="") as file:
        file.writelines(f"# {key}: {value}\n" for key, value in about.items())
        table = csv.writer(file, lineterminator="\n")
        table.writerow(SUMMARY)
        for policy, mine in _by_policy(rows).items():
            costs = [row["cost"] for row in mine]
            regrets = [row["regret"] for row in mine if row["regret"] is not None]
            latency_s = _measured(mine, "latency_s")
            figures = [
                float(np.mean(costs)),
                *interval(costs),
                *np.percentile(latency_s, [50, 95]),
                float(np.mean(_measured(mine, "fidelity"))),
                float(np.mean(_measured(mine, "energy_j"))),
                float(np.mean(_measured(mine, "cost_usd"))),
                float(np.mean(regrets)) if regrets else float("nan"),
                *learning(mine),
            ]
            table.writerow([policy, len(mine), *(f"{figure:.4g}" for figure in figures)])


def learning(mine: Sequence[Row]) -> tuple[float, float, float, float, float]:
    """Median time factor of the first and last third, the last by the prior alone; fidelity error of both thirds."""
    thirds = np.array_split(np.arange(len(mine)), 3)
    first, last = ([mine[i] for i in thirds[k]] for k in (0, 2))
    return (
        _median(first, lambda row: time_factor(row, "estimate")),
        _median(last, lambda row: time_factor(row, "estimate")),
        _median(last, lambda row: time_factor(row, "prior")),
        _mean(first, lambda row: fidelity_error(row, "estimate")),
        _mean(last, lambda row: fidelity_error(row, "estimate")),
    )


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(
        title=title,
        title_style="bold",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 0, 0, 1),
    )
    table.add_column("policy", style="bold", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def time_factor(row: Row, source: str) -> float:
    """How far the predicted service time was off, as a factor >= 1."""
    return float(np.exp(abs(np.log(row["measurement"]["service_s"] / row[source]["service_s"]))))


def fidelity_error(row: Row, source: str) -> float:
    """How far the predicted fidelity was off; the finite number of shots is not counted as an error."""
    measured = row["measurement"]
    if measured["fidelity"] is None:
        return float("nan")
    return abs(measured["fidelity"] - row[source]["fidelity"] * (measured["fidelity_floor"] or 1.0))


def learning_table(rows: Sequence[Row]) -> Table:
    """Predict, then observe: how the cost model's error falls while it learns."""
    table = _table(
        "Predict, then observe: the cost model's error while it learns",
        ("time ×\nearly", "\nlate", "\nlate, prior alone", "fidelity ±\nearly", "\nlate"),
    )
    for policy, mine in _by_policy(rows).items():
        early, late, late_prior, fidelity_early, fidelity_late = learning(mine)
        figures = (f"{early:.2f}", f"{late:.2f}", f"{late_prior:.2f}", f"{fidelity_early:.3f}", f"{fidelity_late:.3f}")
        table.add_row(policy, *figures)
    table.caption = "Early, late: first and last third. Time: median factor; fidelity: mean absolute error."
    return table


def _median(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    return float(np.nanmedian([value(row) for row in rows]))


def _mean(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    return float(np.nanmean([value(row) for row in rows]))


def draw(rows: Sequence[Row], path: Path) -> None:
    """Four panels: cost, latency, where the jobs went, and the error as it falls."""
    groups = _by_policy(rows)
    order = sorted(groups, key=lambda policy: float(np.mean([row["cost"] for row in groups[policy]])))
    colour = dict(zip(groups, cycle(POLICY_COLOURS), strict=False))
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(11, 7.2), layout="constrained")
        _draw_cost(axes[0, 0], groups, order, colour)
        _draw_latency(axes[0, 1], groups, order, colour)
        _draw_places(axes[1, 0], groups, order)
        _draw_error(axes[1, 1], groups)
        figure.savefig(path, dpi=140)
        plt.close(figure)


def _draw_cost(axes: Any, groups: dict[str, list[Row]], order: list[str], colour: dict[str, str]) -> None:
    for place, policy in enumerate(reversed(order)):
        costs = [row["cost"] for row in groups[policy]]
        low, high = interval(costs)
        mean = float(np.mean(costs))
        axes.barh(place, mean, color=colour[policy], height=0.62)
        axes.plot([low, high], [place, place], color="#333333", linewidth=1.5)
        axes.annotate(f"{mean:.2f}", (high, place), xytext=(5, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(order)), list(reversed(order)))
    axes.set_xlabel("mean cost per job, 95 % interval")
    axes.set_title("What the jobs cost")


def _draw_latency(axes: Any, groups: dict[str, list[Row]], order: list[str], colour: dict[str, str]) -> None:
    for policy in order:
        latency_s = np.sort(_measured(groups[policy], "latency_s"))
        axes.step(latency_s, np.arange(1, len(latency_s) + 1) / len(latency_s), color=colour[policy], label=policy)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("latency, s")
    axes.set_ylabel("share of jobs")
    axes.legend(frameon=False, loc="lower right")
    axes.set_title("How long they took, submission to result")


def _draw_places(axes: Any, groups: dict[str, list[Row]], order: list[str]) -> None:
    backends = sorted({row["backend"] for mine in groups.values() for row in mine}, key=lambda b: ("fake" in b, b))
    devices, simulators = cycle(DEVICE_COLOURS), cycle(SIMULATOR_COLOURS)
    left = np.zeros(len(order))
    places = np.arange(len(order))[::-1]
    for backend in backends:
        colour = next(devices if "fake" in backend else simulators)
        share = np.array([np.mean([row["backend"] == backend for row in groups[policy]]) for policy in order])
        axes.barh(places, share, left=left, height=0.62, label=backend, color=colour)
        left += share
    axes.set_yticks(places, order)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of jobs")
    axes.legend(frameon=False, ncols=4, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.17))
    axes.set_title("Where they went")


def _draw_error(axes: Any, groups: dict[str, list[Row]]) -> None:
    for source, label, tone in (("prior", "prior alone", "#9aa5b1"), ("estimate", "learned", "#c8553d")):
        longest = max(len(mine) for mine in groups.values())
        factors = np.full((len(groups), longest), np.nan)
        for line, mine in enumerate(groups.values()):
            factors[line, : len(mine)] = [time_factor(row, source) for row in mine]
        axes.plot(np.arange(1, longest + 1), _rolling(factors, 12), color=tone, linewidth=2, label=label)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.set_xlabel("job, in order of arrival")
    axes.set_ylabel("predicted time off by a factor")
    axes.axhline(1.0, color="#cccccc", linewidth=1, zorder=0)
    axes.legend(frameon=False)
    axes.set_title("Predict, then observe")


def _rolling(values: NDArray[np.float64], window: int) -> list[float]:
    """Median over all policies and the last ``window`` jobs."""
    return [float(np.nanmedian(values[:, max(0, end - window) : end])) for end in range(1, values.shape[1] + 1)]

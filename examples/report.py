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

from policies.pictures import STYLE, plain_log

mpl.use("Agg")
from matplotlib import pyplot as plt

Row = dict[str, Any]

POLICY_COLOURS = ["#b8bec6", "#d9b44a", "#7fa98c", "#c8553d", "#35618f", "#7b5ea7", "#5b6b7a"]
SIMULATOR_COLOURS = ["#d6e4f0", "#a9c7e0", "#78a6cd", "#4a83b5", "#2f5f8a", "#1d4166"]
DEVICE_COLOURS = ["#e8a87c", "#c8553d", "#8c2f1b"]
RESAMPLES = 2000
WINDOW = 12
"""Jobs over which the error of predictions is smoothed."""

WIDTH_IN, ROW_IN, LINES_IN, FRAME_IN = 9.0, 0.36, 1.9, 1.6
"""Inches: of the picture, as wide as a README, so that letters keep their size; of a policy, of curves, around them."""

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
    """One row a policy: cost, latency, where its jobs ran; below, how far predictions were off while it learned."""
    groups = _by_policy(rows)
    order = sorted(groups, key=lambda policy: float(np.mean([row["cost"] for row in groups[policy]])))
    colour = dict(zip(groups, cycle(POLICY_COLOURS), strict=False))
    heights = (ROW_IN * len(order), LINES_IN)
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplot_mosaic(
            [["cost", "latency", "places"], ["error", "error", "names"]],
            figsize=(WIDTH_IN, sum(heights) + FRAME_IN),
            height_ratios=heights,
            layout="constrained",
        )
        figure.get_layout_engine().set(h_pad=0.08, w_pad=0.08)
        num_jobs = len({row["index"] for row in rows})
        figure.suptitle(
            f"The same {num_jobs} jobs under {len(order)} policies, on real workers",
            x=0.01,
            ha="left",
            size=13,
            weight="bold",
        )
        _draw_cost(axes["cost"], groups, order, colour)
        _draw_latency(axes["latency"], groups, order, colour)
        _draw_places(axes["places"], groups, order)
        for name in ("cost", "latency", "places"):
            axes[name].set_ylim(len(order) - 0.5, -0.5)
            axes[name].set_yticks(range(len(order)), [_called(policy) for policy in order] if name == "cost" else [])
            axes[name].tick_params(axis="y", length=0)
        axes["names"].axis("off")
        names = axes["places"].get_legend_handles_labels()
        axes["names"].legend(
            *names,
            title="simulators and emulated devices",
            alignment="left",
            frameon=False,
            loc="upper left",
            borderaxespad=0.0,
        )
        _draw_error(axes["error"], groups)
        figure.savefig(path, dpi=200)
        plt.close(figure)


def _called(policy: str) -> str:
    """A policy's name; of a checkpoint's hash the first letters, by which commands find it, too."""
    learner, colon, digest = policy.partition(":")
    return f"{learner}{colon}{digest[:4]}"


def _draw_cost(axes: Any, groups: dict[str, list[Row]], order: list[str], colour: dict[str, str]) -> None:
    for place, policy in enumerate(order):
        costs = [row["cost"] for row in groups[policy]]
        low, high = interval(costs)
        mean = float(np.mean(costs))
        axes.barh(place, mean, color=colour[policy], height=0.62)
        axes.plot([low, high], [place, place], color="#333333", linewidth=1.5)
        axes.annotate(f"{mean:.2f}", (high, place), xytext=(5, 0), textcoords="offset points", va="center")
    axes.margins(x=0.2)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("mean cost, 95 % interval")
    axes.set_title("What the jobs cost")


def _draw_latency(axes: Any, groups: dict[str, list[Row]], order: list[str], colour: dict[str, str]) -> None:
    chance = np.random.default_rng(0)  # moves dots up and down, so that they are seen side by side
    for place, policy in enumerate(order):
        latency_s = _measured(groups[policy], "latency_s")
        heights = place + chance.uniform(-0.25, 0.25, len(latency_s))
        axes.scatter(latency_s, heights, s=9, color=colour[policy], alpha=0.8, linewidths=0)
        axes.vlines(np.median(latency_s), place - 0.36, place + 0.36, color="#333333", linewidth=1.5)
    plain_log(axes, "x")
    axes.set_xlabel("seconds; line: median")
    axes.set_title("How long they took")


def _draw_places(axes: Any, groups: dict[str, list[Row]], order: list[str]) -> None:
    backends = sorted({row["backend"] for mine in groups.values() for row in mine}, key=lambda b: ("fake" in b, b))
    devices, simulators = cycle(DEVICE_COLOURS), cycle(SIMULATOR_COLOURS)
    left = np.zeros(len(order))
    for backend in backends:
        colour = next(devices if "fake" in backend else simulators)
        share = np.array([np.mean([row["backend"] == backend for row in groups[policy]]) for policy in order])
        axes.barh(range(len(order)), share, left=left, height=0.62, label=backend, color=colour)
        left += share
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of jobs")
    axes.set_title("Where they ran")


def _draw_error(axes: Any, groups: dict[str, list[Row]]) -> None:
    for source, label, tone in (("prior", "without learning", "#9aa5b1"), ("estimate", "with learning", "#c8553d")):
        longest = max(len(mine) for mine in groups.values())
        factors = np.full((len(groups), longest), np.nan)
        for line, mine in enumerate(groups.values()):
            factors[line, : len(mine)] = [time_factor(row, source) for row in mine]
        axes.plot(np.arange(1, longest + 1), _rolling(factors, WINDOW), color=tone, linewidth=2, label=label)
    axes.set_ylim(bottom=1.0)
    plain_log(axes, "y")
    axes.yaxis.set_major_formatter("{x:g} ×")
    axes.set_xlabel(f"job, in order of arrival; median over all policies and {WINDOW} jobs")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, borderpad=0.0)
    axes.set_title("How far predicted run times were off", pad=24)


def _rolling(values: NDArray[np.float64], window: int) -> list[float]:
    """Median over all policies and the last ``window`` jobs."""
    return [float(np.nanmedian(values[:, max(0, end - window) : end])) for end in range(1, values.shape[1] + 1)]

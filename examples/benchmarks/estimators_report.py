"""What ``estimators.py`` found: figures with bootstrap intervals, resampled by circuit, and pictures."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from evidence import RESULTS, results
from numpy.typing import NDArray
from scipy.stats import spearmanr

from orchestrator.cost_model.prior import doubt

Array = NDArray[np.float64]
Rows = Sequence[Mapping[str, Any]]
Groups = Sequence[Rows]
"""Rows of one circuit each: they belong together, and are resampled together."""

SUMMARY = ("estimate", "quantity", "circuits", "rows", "value", "low_95", "high_95", "target")
METHODS = {
    "ours": "ours",
    "mixture with uniform": "mixture",
    "MQT expected_fidelity": "mqt_expected_fidelity",
    "MQT success probability": "mqt_success_probability",
}
COSTS = {"ours": "ours_s", "MQT expected_fidelity": "mqt_fidelity_s", "MQT success probability": "mqt_success_s"}
NUM_BOOTSTRAPS = 2000
TEXTS = ("device", "circuit")


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a run; what was not measured is None."""
    with path.open() as file:
        found = csv.DictReader(line for line in file if not line.startswith("#"))
        return [{k: v if k in TEXTS else float(v) if v else None for k, v in row.items()} for row in found]


def quantile_of_doubt(rows: Rows) -> tuple[float, float]:
    """How many units of doubt a prediction is too low, and too high, in 5 % of the cases each."""
    units = [(row["ours"] - row["exact"]) / doubt(row["ours"], row["branching"]) for row in rows]
    low, high = np.quantile(units, [0.05, 0.95])
    return -float(low), float(high)


# ── figures ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def grouped(rows: Rows) -> Groups:
    """Rows by circuit."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["circuit"], []).append(row)
    return list(found.values())


def errors(groups: Groups, name: str) -> tuple[Array, Array]:
    """Exact fidelities, and how far a prediction is off."""
    exact, said = (np.array([row[key] for rows in groups for row in rows]) for key in ("exact", name))
    return exact, said - exact


def absolute(groups: Groups, name: str) -> float:
    """Mean absolute error."""
    return float(np.mean(np.abs(errors(groups, name)[1])))


def r_squared(groups: Groups, name: str) -> float:
    """Share of the variance explained by the prediction as it is."""
    exact, off = errors(groups, name)
    return 1.0 - float(np.sum(off**2) / np.sum((exact - exact.mean()) ** 2))


def spearman(groups: Groups, name: str) -> float:
    """Rank correlation."""
    exact, off = errors(groups, name)
    return float(spearmanr(exact, exact + off)[0])


def regret(groups: Groups, name: str) -> float:
    """Fidelity lost, in the mean over circuits, on the device that a prediction chooses."""
    return mean(max(row["exact"] for row in rows) - max(rows, key=lambda row: row[name])["exact"] for rows in groups)


def coverage(groups: Groups, _: str) -> float:
    """Share of exact fidelities inside the interval."""
    return mean(row["low"] <= row["exact"] <= row["high"] for rows in groups for row in rows)


JUDGES: dict[str, tuple[Callable[[Groups, str], float], str]] = {
    "mean absolute error": (absolute, "<= 0.012"),
    "R2": (r_squared, ">= 0.96"),
    "Spearman": (spearman, ">= 0.97"),
    "regret of the device chosen": (regret, "<= 0.0005"),
}


def resampled(groups: Groups, judge: Callable[[Groups], float]) -> tuple[float, float, float]:
    """Value and 95 % bootstrap interval over circuits."""
    rng = np.random.default_rng(0)
    values = [
        judge([groups[pick] for pick in rng.integers(0, len(groups), len(groups)).tolist()])
        for _ in range(NUM_BOOTSTRAPS)
    ]
    low, high = np.percentile(values, [2.5, 97.5])
    return judge(groups), float(low), float(high)


def figures(rows: Rows) -> Iterator[tuple[Any, ...]]:
    """Rows of the summary about devices that do what they publish."""
    groups = grouped(rows)
    size = (len(groups), len(rows))
    for method, name in METHODS.items():
        if rows[0].get(name) is None:
            continue
        for quantity, (judge, target) in JUDGES.items():
            values = resampled(groups, lambda some: judge(some, name))  # noqa: B023
            yield (method, quantity, *size, *values, target if method == "ours" else "")
    yield ("ours", "coverage of the 90 % interval", *size, *resampled(groups, lambda some: coverage(some, "")), "0.90")
    widths = [row["high"] - row["low"] for row in rows]
    yield ("ours", "median width of the 90 % interval", *size, float(np.median(widths)), "", "", "")
    for method, name in COSTS.items():
        if rows[0].get(name) is not None:
            spent = float(np.median([row[name] for row in rows])) * 1e3
            yield (method, "CPU of a compiled circuit, ms, median", *size, spent, "", "", "")


def learning(rows: Rows, num_learned: int) -> Iterator[tuple[Any, ...]]:
    """Rows of the summary about devices with a hidden truth, once some jobs have taught."""
    later = [row for row in rows if row["job"] >= num_learned]
    for label, chosen in {
        "all": later,
        "circuits seen there before": [row for row in later if row["seen_before"]],
        "circuits never seen there": [row for row in later if not row["seen_before"]],
    }.items():
        if not chosen:
            continue
        groups = grouped([{**row, "exact": row["truth"]} for row in chosen])
        size = (len(groups), len(chosen))
        for method, name in {"feedback off": "prior", "feedback on": "learned"}.items():
            found = resampled(groups, lambda some: absolute(some, name))  # noqa: B023
            yield (method, f"mean absolute error after {num_learned} jobs, {label}", *size, *found, "")
        ratio = resampled(groups, lambda some: absolute(some, "learned") / absolute(some, "prior"))
        yield ("on / off", f"mean absolute error after {num_learned} jobs, {label}", *size, *ratio, "<= 0.5")


def summarise(
    name: str, rows: Rows, learned: Rows, num_learned: int | None, more: Sequence[tuple[Any, ...]] = ()
) -> None:
    """Write and print the figures."""
    with results(f"{name}_summary", SUMMARY, seeds="0, of the bootstrap") as table:
        told = [*figures(rows), *(learning(learned, num_learned) if num_learned is not None and learned else ()), *more]
        for row in told:
            written = [f"{value:.5g}" if isinstance(value, float) else value for value in row]
            table.writerow(written)
            print("{:24} {:66} {:>4} {:>5} {:>9} {:>9} {:>9}  {}".format(*written))


# ── pictures ──────────────────────────────────────────────────────────────────────────────────────────────────────────
COLOURS = ("#35618f", "#c8553d", "#7f9c3b", "#8a6bab", "#d8a13a", "#4c9f9b")


def draw(name: str, rows: Rows, learned: Rows) -> None:
    """Predicted against exact, ours beside the others; and the error as a device is learned."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    shown = {method: key for method, key in METHODS.items() if rows[0].get(key) is not None}
    figure, axes = plt.subplots(1, len(shown) + 1, figsize=(4.3 * (len(shown) + 1), 4.6), layout="constrained")
    devices = list(dict.fromkeys(row["device"] for row in rows))
    for panel, (method, key) in zip(axes, shown.items(), strict=False):
        for device, colour in zip(devices, COLOURS, strict=False):
            own = [row for row in rows if row["device"] == device]
            spots = [row["exact"] for row in own], [row[key] for row in own]
            panel.plot(*spots, "o", ms=3.2, color=colour, alpha=0.75, mew=0, label=device)
        panel.plot([0, 1], [0, 1], color="#999999", lw=0.8, zorder=0)
        panel.set(xlim=(0, 1.01), ylim=(0, 1.01), xlabel="exact Hellinger fidelity", aspect="equal")
        panel.set_title(f"{method}\nmean error {absolute(grouped(rows), key):.4f}", fontsize=11)
    axes[0].set_ylabel("predicted from circuit and calibration")
    axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    _draw_learning(axes[-1], learned)
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#ececec", lw=0.6)
        panel.set_axisbelow(True)
    figure.savefig(RESULTS / f"{name}.png", dpi=140)


def _draw_learning(panel: Any, learned: Rows, step: int = 10) -> None:
    """Mean error by the number of jobs that a device has run."""
    numbers = sorted({row["job"] // step for row in learned})
    for label, key, colour in (("feedback off", "prior", "#a9b4c0"), ("feedback on", "learned", "#35618f")):
        means = [
            mean(abs(row[key] - row["truth"]) for row in learned if row["job"] // step == number) for number in numbers
        ]
        panel.plot(
            [(number + 0.5) * step for number in numbers], means, "o-", ms=3.5, lw=1.4, color=colour, label=label
        )
    panel.set(xlabel="jobs that the device has run", ylim=(0, None))
    panel.set_ylabel("mean absolute error of the fidelity")
    panel.set_title("the same devices with a hidden truth,\nforetold before each job", fontsize=11)
    panel.legend(frameon=False, fontsize=9)

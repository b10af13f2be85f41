"""One picture of a contest: what the jobs cost, how long they took, where they went, and fidelity against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from policies.arena import Ended
from policies.pictures import TONES, picture
from workers.compare.standings import Standing

SMALLEST_SPAN = 0.01
"""Of the axis of fidelities: smaller differences are those of shots."""


def draw(
    found: Sequence[Standing],
    ends: Mapping[str, Sequence[Ended]],
    path: Path,
    *,
    title: str,
    best: float | None = None,
    bound: float | None = None,
) -> None:
    """Draw a contest.

    Args:
        found: the standings, the cheapest first.   ends: of each policy, over all seeds.
        path: where to; its suffix says in which format.
        best, bound: mean cost of the best schedule known, and what no schedule goes below.

    Raises:
        DependencyNotInstalled: matplotlib is missing.
    """
    colour = {one.policy: TONES[number % len(TONES)] for number, one in enumerate(found)}
    with picture(path, 2, 2, (13, 8.6)) as (figure, axes):
        from matplotlib import colormaps

        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
        _costs(axes[0, 0], found, colour, best, bound)
        _latencies(axes[0, 1], found, ends, colour)
        _places(axes[1, 0], found, ends, colormaps["tab20c"])
        _trade(axes[1, 1], found, colour)


def _costs(
    axes: Any, found: Sequence[Standing], colour: Mapping[str, Any], best: float | None, bound: float | None
) -> None:
    for place, one in enumerate(reversed(found)):
        cost = one.cost
        axes.barh(place, cost.value, color=colour[one.policy], height=0.62)
        end = cost.value
        if cost.low is not None and cost.high is not None:
            axes.plot([cost.low, cost.high], [place, place], color="#333333", linewidth=1.5)
            end = cost.high
        axes.annotate(f"{cost.value:.3g}", (end, place), xytext=(5, 0), textcoords="offset points", va="center")
    for value, line, label in ((best, "-", "best schedule known"), (bound, ":", "no schedule is below")):
        if value is not None:
            axes.axvline(value, color="#222222", linewidth=1, linestyle=line, label=label)
    if best is not None:
        axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1.0, 1.0))
    axes.set_yticks(range(len(found)), [one.policy for one in reversed(found)])
    axes.set_xlabel("mean cost per job, 95 % interval over seeds")
    axes.set_title("What the jobs cost")


def _latencies(
    axes: Any, found: Sequence[Standing], ends: Mapping[str, Sequence[Ended]], colour: Mapping[str, Any]
) -> None:
    for one in found:
        latency_s = np.sort([end.latency_s for end in ends[one.policy] if end.choice])
        share = np.arange(1, len(latency_s) + 1) / len(ends[one.policy])
        axes.step(latency_s, share, color=colour[one.policy], label=one.policy)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("from arrival to result, s")
    axes.set_ylabel("share of jobs")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    axes.set_title("How long they took")


def _places(axes: Any, found: Sequence[Standing], ends: Mapping[str, Sequence[Ended]], tones: Any) -> None:
    backends = sorted({name for mine in ends.values() for end in mine for name in end.choice})
    left, rows = np.zeros(len(found)), np.arange(len(found))[::-1]
    for number, backend in enumerate(backends):
        shares = [[end.choice.get(backend, 0.0) for end in ends[one.policy]] for one in found]
        share = np.array([float(np.mean(mine)) for mine in shares])
        axes.barh(rows, share, left=left, height=0.62, label=backend, color=tones(number % 20))
        left += share
    axes.set_yticks(rows, [one.policy for one in found])
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of jobs")
    axes.legend(frameon=False, ncols=4, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    axes.set_title("Where they went")


def _trade(axes: Any, found: Sequence[Standing], colour: Mapping[str, Any]) -> None:
    for one in found:
        axes.scatter(
            one.latency_s.value, one.fidelity.value, s=60, color=colour[one.policy], label=one.policy, zorder=3
        )
    from matplotlib.ticker import LogLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.ticklabel_format(axis="y", useOffset=False)
    values = [one.fidelity.value for one in found]
    room = max(SMALLEST_SPAN, max(values) - min(values)) / 8
    middle = (max(values) + min(values)) / 2
    axes.set_ylim(middle - 5 * room, middle + 5 * room)
    axes.set_xlabel("mean completion time, s")
    axes.set_ylabel("mean fidelity")
    axes.grid(color="#e5e5e5", linewidth=0.7)
    axes.legend(frameon=False, fontsize=8)
    axes.set_title("Fidelity against time: up and left is better")

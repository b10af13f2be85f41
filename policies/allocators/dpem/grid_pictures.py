"""What the grid's runs look like: gains by delay and period, fronts, delivery by size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from policies.allocators.dpem.grid import Cell
from policies.allocators.dpem.grid_front import Point, beaten, fronts
from policies.allocators.dpem.grid_report import CENTRES, Found, cell_of, ours_of
from policies.allocators.dpem.grid_sizes import Sizes, sizes
from policies.pictures import TONES, picture, plain_log


def drawn(out: Path, found: Found, rows: Sequence[Mapping[str, Any]], against: str) -> list[str]:
    """Every figure that the cells suffice for; their files."""
    return [*_map(out, rows, against), *_fronts(out, found, rows, ours_of(found, against)), *_sizes(out, found)]


def _map(out: Path, rows: Sequence[Mapping[str, Any]], against: str) -> list[str]:
    """Gain over each controller, by delay and period; a row of panels for each load."""
    middle = Cell(delay_s=0.0)
    here = [
        row
        for row in rows
        if row["gain"] != ""
        and row["hold"] == 1
        and replace(cell_of(row), load=middle.load, delay_s=0.0, period_s=middle.period_s) == middle
    ]
    styles = [name for name in CENTRES[:4] if any(row["policy"] == name for row in here)]
    loads, periods, delays = (sorted({row[name] for row in here}) for name in ("load", "period_s", "delay_s"))
    if not styles or len(periods) * len(delays) < 4:
        return []
    path, size = out / "map.png", (3.0 + 3.0 * len(styles), len(loads) * (1.4 + 0.6 * len(delays)) + 0.6)
    with picture(path, len(loads), len(styles), size, sharex=True, sharey=True) as (_, axes):
        for load, line in zip(loads, axes, strict=True):
            for axis, style in zip(line, styles, strict=True):
                gains = np.full((len(delays), len(periods)), np.nan)
                for row in here:
                    if (row["policy"], row["load"]) == (style, load):
                        gains[delays.index(row["delay_s"]), periods.index(row["period_s"])] = 100.0 * row["gain"]
                axis.imshow(np.clip(gains, -60, 60), cmap="RdBu", vmin=-60.0, vmax=60.0, aspect="auto", origin="lower")
                for (y, x), gain in np.ndenumerate(gains):
                    if np.isfinite(gain):
                        tone = "w" if abs(gain) > 40.0 else "k"
                        axis.text(x, y, f"{gain:+.0f}", ha="center", va="center", color=tone)
                axis.set_xticks(range(len(periods)), [f"{each:g}" for each in periods])
                axis.set_yticks(range(len(delays)), [f"{each:g}" for each in delays])
                axis.set_title(f"{style}, load {load:g}", fontsize=9)
            line[0].set_ylabel(f"delay, s; gain of {against}, %")
        for axis in axes[-1]:
            axis.set_xlabel("period, s")
    return [str(path)]


def _fronts(out: Path, found: Found, rows: Sequence[Mapping[str, Any]], ours: Sequence[str]) -> list[str]:
    """Delivery against literal contention, the common front behind all curves."""
    told = fronts(found, rows)
    if not told:
        return []
    path = out / "front.png"
    there = {point.policy for points in told.values() for point in points}
    looks = _looks([name for name in found.policies if name in there], ours)
    with picture(path, 1, len(told), (2.0 + 5.2 * len(told), 5.4), sharex=True, sharey=True) as (figure, axes):
        for axis, (cell, points) in zip(axes[0], told.items(), strict=True):
            _common(axis, points)
            for label, mine, look in _curves(points, looks, ours):
                _curve(axis, mine, points, label, look)
            axis.set_title(f"delay {cell.delay_s:g} s, period {cell.period_s:g} s")
            axis.set_xlabel("literal contention")
            axis.grid(color="#ececec", linewidth=0.6)
        axes[0][0].set_ylabel("delivery")
        handles, labels = axes[0][0].get_legend_handles_labels()
        title = "large: hold 1\nfilled: dominated by nobody"
        figure.legend(handles, labels, loc="outside right center", frameon=False, title=title)
    return [str(path)]


def _looks(names: Sequence[str], ours: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Ours bold, centres dashed, what sees everything dotted, hand rules thin; no two of one kind in one tone."""
    looks = {}
    for place, name in enumerate(sorted(names, key=lambda name: name not in ours)):
        dashes = "--" if name in CENTRES else ":" if name == "greedy_oracle" else "-"
        tone = TONES[place % len(TONES)]
        looks[name] = {"color": tone, "linestyle": "-" if name in ours else dashes, "linewidth": 1.1}
        if name in ours:
            looks[name] |= {"linewidth": 2.6, "zorder": 4}
    return {name: looks[name] for name in names}


def _curves(
    points: Sequence[Point], looks: Mapping[str, Mapping[str, Any]], ours: Sequence[str]
) -> Iterator[tuple[str, list[Point], Mapping[str, Any]]]:
    """A curve over back-off for each policy; where there are several agents, one over these for each back-off."""
    agents = [name for name in looks if name in ours]
    for name, look in looks.items():
        if name not in agents or len(agents) == 1:
            yield name, sorted((each for each in points if each.policy == name), key=lambda each: each.hold), look
    if len(agents) > 1:
        for hold in sorted({each.hold for each in points}):
            mine = [each for each in points if each.policy in agents and each.hold == hold]
            label = ", ".join(agents) if hold == 1 else "_"  # the legend leaves out what begins so
            yield label, sorted(mine, key=lambda each: each.contention), looks[agents[0]]


def _common(axis: Any, points: Sequence[Point]) -> None:
    """The front of all points, as a broad line."""
    free = sorted((p for p in points if beaten(p, points) is None), key=lambda point: point.contention)
    if free:
        x, y = ([getattr(point, which) for point in free] for which in ("contention", "delivery"))
        axis.step(x, y, where="post", color="#ececec", linewidth=7.0, solid_capstyle="round", zorder=0)


def _curve(axis: Any, mine: Sequence[Point], points: Sequence[Point], name: str, look: Mapping[str, Any]) -> None:
    x, y = ([getattr(point, which) for point in mine] for which in ("contention", "delivery"))
    axis.plot(x, y, label=name, **look)
    for point in mine:
        face = "white" if beaten(point, points) else look["color"]
        size = 9.0 if point.hold == 1 else 5.5
        spot = {"color": look["color"], "markerfacecolor": face, "markersize": size, "zorder": 5}
        axis.plot(point.contention, point.delivery, marker="o", **spot)


def _sizes(out: Path, found: Found) -> list[str]:
    """Delivery by number of nodes: topologies as points, means with 95 % intervals, and the line over N."""
    told = sizes(found)
    if not told:
        return []
    path = out / "sizes.png"
    with picture(path, 1, len(told), (2.0 + 5.0 * len(told), 4.4), sharey=True) as (_, axes):
        for axis, (cell, policies) in zip(axes[0], told.items(), strict=True):
            for place, each in enumerate(policies):
                _line(axis, each, 1.0 + 0.06 * (place - 0.5 * (len(policies) - 1)), TONES[place % len(TONES)])
            axis.set_title(f"load {cell.load:g}, deadline {cell.deadline_s:g} s")
            axis.set_xlabel("nodes")
            plain_log(axis, "x")
            ticks = sorted({size for each in policies for size, *_ in each.means()})
            axis.set_xticks(ticks, [f"{size:g}" for size in ticks])
            axis.grid(color="#ececec", linewidth=0.6)
            axis.legend(frameon=False, fontsize=9)
        axes[0][0].set_ylabel("delivery")
    return [str(path)]


def _line(axis: Any, each: Sizes, aside: float, tone: str) -> None:
    """One policy, a little aside so that it does not hide another."""
    axis.plot(aside * each.nodes, each.delivery, ".", color=tone, alpha=0.25, markersize=5)
    size, mean, spread, _ = np.array(each.means()).T
    axis.errorbar(aside * size, mean, np.nan_to_num(spread), fmt="o", color=tone, capsize=3)
    x = np.geomspace(size.min(), size.max(), 50)
    fit = each.by_nodes
    label = f"{each.policy}: {100.0 * fit.slope:+.4f} per 100 nodes, R² {fit.r2:.2f}"
    axis.plot(x, fit.intercept + fit.slope * x, color=tone, linewidth=1.4, label=label)

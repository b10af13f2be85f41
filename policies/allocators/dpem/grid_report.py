"""What the grid's runs say: every cell, who wins and by how much, tests, and the figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.errors import InvalidParameter
from policies.allocators.contenders import CONTENDERS, Contender
from policies.allocators.dpem.grid import BOUND, CELL, METRICS, WALL, Cell, job_of, known, put, read
from policies.significance import anova, holm, not_inferior, paired, ratio, tukey

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
        scores: by reduced cell, policy and hold: by topology, rows of the metrics of each physics seed.
        cells: the cells that there are.   policies: names, in the order of the tables.
    """

    scores: Mapping[tuple[Any, ...], Mapping[int, list[list[float]]]]
    cells: tuple[Cell, ...]
    policies: tuple[str, ...]

    def of(self, cell: Cell, policy: str, hold: int) -> dict[int, Floats]:
        """Metrics and wall times by topology, means over physics seeds."""
        there = known(cell, None if policy == BOUND else CONTENDERS.get(policy, ELSE))
        rows = self.scores.get((there, policy, hold), {})
        return {seed: np.array(each, dtype=np.float64).mean(axis=0) for seed, each in sorted(rows.items())}


def gathered(rows: Iterable[Mapping[str, str]]) -> Found:
    """Runs by cell; cells are those of whoever knows most of them."""
    scores: dict[tuple[Any, ...], dict[int, list[list[float]]]] = defaultdict(lambda: defaultdict(list))
    cells: set[tuple[float, ...]] = set()
    names = []
    for row in rows:
        job = job_of(row)
        values = [float(row[name] or "nan") for name in (*METRICS, *WALL)]
        scores[job.cell, job.policy, job.hold][job.seed].append(values)
        names.append(job.policy)
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
    rows = table(found, against)
    put(out / "cells.csv", COLUMNS, rows)
    (out / "grid.md").write_text(words(found, rows, against))
    pictures = [*_draw_map(out, rows, against), *_draw_front(out, rows)]
    return {"cells": len(rows), "against": against, "pictures": pictures}


def named(cell: Cell) -> str:
    """A cell in words."""
    return (
        f"rho {cell.load:g}, tau {cell.delay_s:g} s, Tc {cell.period_s:g} s, D {cell.deadline_s:g} s, "
        f"coherence {cell.coherence_s:g} s, k {cell.predictability:g}, N {cell.num_nodes}"
    )


def words(found: Found, rows: Sequence[Mapping[str, Any]], against: str) -> str:
    """Everything in Markdown."""
    lines = ["# Grid of `Entanglement-v1`", ""]
    lines += [
        "Means over topologies; ± is a 95 % t interval. Gain: of " + f"`{against}` (hold 1) over the row's policy,"
    ]
    lines += ["ratio of means less one with a 95 % bootstrap interval; p: paired t over topologies, Holm over cells."]
    for cell in found.cells:
        mine = [row for row in rows if _cell(row) == cell]
        lines += ["", f"## {named(cell)}", "", _HEAD, "|---" * _HEAD.count(" | ") + "|---|", *map(_line, mine)]
    lines += ["", *_lost(rows, against), "", *_as_the_paper(found, against)]
    return "\n".join(lines) + "\n"


_HEAD = (
    "| policy | hold | topologies | delivery | C_lit | C_blk | C_req | latency s (p95) | fidelity | gain delivery "
    "| p Holm | gain C_lit | decision ms |"
)


def _cell(row: Mapping[str, Any]) -> Cell:
    return Cell(**{name: row[name] for name in CELL})


def _line(row: Mapping[str, Any]) -> str:
    def three(name: str) -> str:
        return "" if row[name] == "" else f"{row[name]:.3f}"

    def percent(*names: str) -> str:
        if row[names[0]] == "":
            return ""
        mean, low, high = (f"{100.0 * row[name]:+.1f}" for name in names)
        return f"{mean} [{low}, {high}] %"

    spread = "" if row["delivery_pm"] == "" else f" ± {row['delivery_pm']:.3f}"
    latency = "" if row["latency_mean_s"] == "" else f"{row['latency_mean_s']:.2f} ({row['latency_p95_s']:.2f})"
    decided = "" if row["decide_mean_s"] == "" else f"{1e3 * row['decide_mean_s']:.2g}"
    cells = (
        *(f"`{row['policy']}`", str(row["hold"]), str(row["topologies"]), three("delivery") + spread),
        *(three("contention_literal"), three("contention_blocked"), three("contention_requests")),
        *(latency, three("fidelity"), percent("gain", "gain_low", "gain_high")),
        "" if row["p_holm"] == "" else f"{row['p_holm']:.2g}",
        *(percent("c_gain", "c_low", "c_high"), decided),
    )
    return "| " + " | ".join(cells) + " |"


def _lost(rows: Sequence[Mapping[str, Any]], against: str) -> list[str]:
    """Where somebody else delivers more, or contends less."""
    lines = [f"## Where `{against}` is not ahead", ""]
    lines += ["| cell | policy | hold | delivery | C_lit |", "|---|---|---|---|---|"]
    for row in rows:
        behind, louder = row["gain"] != "" and row["gain"] < 0.0, row["c_gain"] != "" and row["c_gain"] > 0.0
        if behind or louder:
            gains = (f"{100.0 * row[name]:+.1f} %" if row[name] != "" else "" for name in ("gain", "c_gain"))
            cells = (named(_cell(row)), f"`{row['policy']}`", str(row["hold"]), *gains)
            lines.append("| " + " | ".join(cells) + " |")
    return lines if len(lines) > 4 else [*lines[:2], "Nowhere."]


def _as_the_paper(found: Found, against: str) -> list[str]:
    """One-way analysis of variance and Tukey's test in the middle cell."""
    cell = Cell() if Cell() in found.cells else found.cells[0]
    by_policy = {name: found.of(cell, name, 1) for name in found.policies if name != BOUND}
    groups = {name: [each[0] for each in runs.values()] for name, runs in by_policy.items() if len(runs) > 1}
    if len(groups) < 2 or against not in groups:
        return []
    whole = anova(groups)
    lines = ["## One-way analysis of variance and Tukey's test", "", f"Delivery, {named(cell)}; topologies as noise:"]
    lines += [
        f"F = {whole.f:.3g}, p = {whole.p:.2g}, {100.0 * whole.explained:.0f} % of the variance between policies.",
        "",
    ]
    lines += ["| against | difference | Tukey's p | paired p |", "|---|---|---|---|"]
    for (one, other), each in tukey(groups).items():
        if against in (one, other):
            name, sign = (other, 1.0) if one == against else (one, -1.0)
            both = [seed for seed in by_policy[name] if seed in by_policy[against]]
            p = paired(*([by_policy[who][seed][0] for seed in both] for who in (against, name))).p
            low, high = sorted((sign * each.low, sign * each.high))
            lines.append(f"| `{name}` | {sign * each.mean:+.4f} [{low:+.4f}, {high:+.4f}] | {each.p:.2g} | {p:.2g} |")
    return lines


def _draw_map(out: Path, rows: Sequence[Mapping[str, Any]], against: str) -> list[str]:
    """Gain over each controller, by delay and period."""
    from policies.pictures import picture

    middle = replace(Cell(), delay_s=0.0)
    here = [
        row
        for row in rows
        if row["gain"] != "" and row["hold"] == 1 and replace(_cell(row), delay_s=0.0, period_s=5.0) == middle
    ]
    styles = [name for name in CENTRES[:4] if any(row["policy"] == name for row in here)]
    periods, delays = (sorted({row[name] for row in here}) for name in ("period_s", "delay_s"))
    if not styles or len(periods) * len(delays) < 4:
        return []
    path = out / "map.png"
    with picture(path, 1, len(styles), (3.0 + 3.0 * len(styles), 2.0 + 0.6 * len(delays)), sharey=True) as (_, axes):
        for axis, style in zip(axes[0], styles, strict=True):
            gains = np.full((len(delays), len(periods)), np.nan)
            for row in here:
                if row["policy"] == style:
                    gains[delays.index(row["delay_s"]), periods.index(row["period_s"])] = 100.0 * row["gain"]
            axis.imshow(np.clip(gains, -60, 60), cmap="RdBu", vmin=-60.0, vmax=60.0, aspect="auto", origin="lower")
            for (y, x), gain in np.ndenumerate(gains):
                if np.isfinite(gain):
                    axis.text(x, y, f"{gain:+.0f}", ha="center", va="center", color="w" if abs(gain) > 40.0 else "k")
            axis.set_xticks(range(len(periods)), [f"{each:g}" for each in periods])
            axis.set_yticks(range(len(delays)), [f"{each:g}" for each in delays])
            axis.set_title(style, fontsize=9)
            axis.set_xlabel("period, s")
        axes[0][0].set_ylabel(f"delay, s; gain of {against}, %")
    return [str(path)]


def _draw_front(out: Path, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Delivery against literal contention, a curve over back-off for each policy."""
    from policies.pictures import TONES, picture

    cells = list(dict.fromkeys(_cell(row) for row in rows if row["hold"] != 1))
    if not cells:
        return []
    path = out / "front.png"
    names = list(dict.fromkeys(row["policy"] for row in rows if row["policy"] != BOUND))
    with picture(path, 1, len(cells), (1.5 + 5.5 * len(cells), 5.0), sharey=True) as (figure, axes):
        for axis, cell in zip(axes[0], cells, strict=True):
            for place, name in enumerate(names):
                mine = sorted((row for row in rows if row["policy"] == name and _cell(row) == cell), key=_hold)
                x, y = ([row[which] for row in mine] for which in ("contention_literal", "delivery"))
                style = "--" if name.startswith(("central", "te", "qprimal")) else "-"
                axis.plot(x, y, style, marker="o", markersize=3, color=TONES[place % len(TONES)], label=name)
            axis.set_title(f"tau {cell.delay_s:g} s, Tc {cell.period_s:g} s")
            axis.set_xlabel("literal contention")
            axis.grid(color="#ececec", linewidth=0.6)
        axes[0][0].set_ylabel("delivery")
        figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    return [str(path)]


def _hold(row: Mapping[str, Any]) -> int:
    return int(row["hold"])

"""Tables and figures of ``qnum_packet.py --part cells``.

    python examples/benchmarks/qnum_packet_report.py

Reads ``results/qnum_packet_cells.csv`` and writes ``qnum_packet_cells.md`` (every policy in every cell, and where -DA
is not the best), ``qnum_packet_cells.png`` and ``qnum_packet_robustness.png`` beside it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from typing import Any

from evidence import RESULTS

from policies.pictures import TONES, picture

Row = dict[str, str]
IDEAL_AT = 30.0
"""Where ideal memories stand on an axis of coherence, in seconds."""
NAMES = {"load": "load", "latency": "latency, times light", "coherence_s": "coherence, s (∞ at the right)"}
LABELS = {
    "da": "−DA",
    "da-approx": "−DA, qualities assumed",
    "pi": "−PI",
    "base": "base",
    "approx": "−approx",
    "aimd": "AIMD with marking",
    "open:optimum": "open loop: optimum or QPrimalDual",
    "open:max_min_fair": "open loop: max-min fair, best quality",
    "open:proportional_fair": "open loop: proportional fair, best quality",
    "open:max_min_fair_fixed": "open loop: max-min fair, w = 0.967",
    "open:random_feasible": "open loop: best of 100 at random",
    "open:greedy": "open loop: greedy",
}
"""Policies of the figures. Not ``open:qprimaldual``: its rates are the optimum's."""
SHOWN = ("da", "da-approx", "pi", "aimd", "open:optimum")
"""Policies of the figure on robustness."""
COLOURS = dict(zip(LABELS, (*TONES, "#9b1d20", "#5b8c5a"), strict=False))
MARKS = dict(zip(LABELS, "osD^vP*Xphd<", strict=True))


def rows() -> tuple[list[str], list[Row]]:
    """What is said of the table, and its rows."""
    lines = (RESULTS / "qnum_packet_cells.csv").read_text().splitlines()
    return [line for line in lines if line[0] == "#"], list(csv.DictReader(line for line in lines if line[0] != "#"))


def cells(found: Sequence[Row]) -> Iterator[tuple[tuple[str, str, str], dict[str, Row]]]:
    """Rows by policy of each cell."""
    for cell in dict.fromkeys((row["topology"], row["axis"], row["value"]) for row in found):
        yield cell, {row["policy"]: row for row in found if (row["topology"], row["axis"], row["value"]) == cell}


def with_interval(row: Row | None, name: str) -> str:
    """Mean and half of the interval."""
    return f"{float(row[name]):.3f} ± {float(row[name + '_pm']):.3f}" if row else "—"


def table(said: Sequence[str], found: Sequence[Row]) -> str:
    """All cells, in Markdown; the best of each is bold."""
    lines = ["# The packet network's cells", "", *(line.replace("# ", "- ", 1) for line in said), ""]
    lines += ["G of the decoherence-aware optimum: means over seeds with 95 % intervals, the best of a cell in bold."]
    policies = list(dict.fromkeys(row["policy"] for row in found))
    for topology in dict.fromkeys(row["topology"] for row in found):
        lines += [
            "",
            f"## {topology}",
            "",
            "| cell | " + " | ".join(policies) + " |",
            "|---" * (len(policies) + 1) + "|",
        ]
        for (where, axis, value), by in cells(found):
            if where == topology:
                top = max(by, key=lambda policy: float(by[policy]["G_aware"]))
                words = [with_interval(by.get(policy), "G_aware") for policy in policies]
                words[policies.index(top)] = f"**{words[policies.index(top)]}**"
                lines.append(f"| {axis} {value} | " + " | ".join(words) + " |")
    return "\n".join([*lines, "", *beaten(found)]) + "\n"


def beaten(found: Sequence[Row]) -> list[str]:
    """Policies with a higher mean than -DA, and whether intervals lie apart."""
    lines = ["## Where -DA loses", "", "| cell | -DA | another | its G | intervals apart |", "|---|---|---|---|---|"]
    for cell, by in cells(found):
        mine, half = float(by["da"]["G_aware"]), float(by["da"]["G_aware_pm"])
        for policy, row in by.items():
            other, its_half = float(row["G_aware"]), float(row["G_aware_pm"])
            if other > mine:
                apart = "yes" if other - its_half > mine + half else "no"
                both = (with_interval(by["da"], "G_aware"), policy, with_interval(row, "G_aware"), apart)
                lines.append(f"| {' '.join(cell)} | " + " | ".join(both) + " |")
    return lines if len(lines) > 4 else [*lines[:2], "Nowhere."]


def points(found: Sequence[Row], topology: str, axis: str, policy: str, name: str) -> list[tuple[float, ...]]:
    """(value, mean, half of the interval), in order."""
    chosen = [row for row in found if (row["topology"], row["axis"], row["policy"]) == (topology, axis, policy)]
    return sorted((place(row["value"]), float(row[name]), float(row.get(name + "_pm", 0.0))) for row in chosen)


def place(value: str) -> float:
    """On an axis."""
    return IDEAL_AT if math.isinf(float(value)) else float(value)


def line(axis: Any, found: Sequence[Row], where: tuple[str, str], policy: str, figure: str) -> None:
    """Means with intervals of a policy; open loops dashed, -DA in front."""
    drawn = points(found, *where, policy, figure)
    axis.errorbar(
        *([one[column] for one in drawn] for column in range(3)),
        color=COLOURS[policy],
        marker=MARKS[policy],
        markersize=5.0,
        linestyle="--" if policy.startswith("open:") else "-",
        linewidth=2.4 if policy == "da" else 1.3,
        zorder=4 if policy == "da" else 3,
        capsize=2.0,
        label=LABELS[policy],
    )


def dress(axis: Any, found: Sequence[Row], topology: str, name: str) -> None:
    """Ticks where values are."""
    values = sorted({row["value"] for row in found if row["axis"] == name}, key=float)
    axis.set_xscale("log")
    axis.set_xticks(
        [place(value) for value in values], ["∞" if value == "inf" else f"{float(value):g}" for value in values]
    )
    axis.minorticks_off()
    axis.set_xlabel(NAMES[name])
    axis.set_title(topology)
    axis.grid(color="#ececec", linewidth=0.6)


def draw_cells(found: Sequence[Row]) -> None:
    """G against the decoherence-aware optimum over each axis."""
    with picture(RESULTS / "qnum_packet_cells.png", 2, 3, (15.0, 7.4), sharey=True) as (figure, axes):
        for row, topology in zip(axes, ("dumbbell", "nsfnet"), strict=True):
            for axis, name in zip(row, NAMES, strict=True):
                for policy in LABELS:
                    line(axis, found, (topology, name), policy, "G_aware")
                axis.axhline(1.0, color="#6b7683", linewidth=0.8, linestyle=":")
                dress(axis, found, topology, name)
            row[0].set_ylabel("G of the decoherence-aware optimum")
        axes[0][0].set_ylim(-0.03, 1.1)
        figure.legend(*axes[0][0].get_legend_handles_labels(), frameon=False, loc="outside right upper")


def draw_robustness(found: Sequence[Row]) -> None:
    """G against the ideal optimum over latency and coherence, beside what can be had at all."""
    with picture(RESULTS / "qnum_packet_robustness.png", 2, 2, (10.5, 7.0), sharey=True) as (figure, axes):
        for row, topology in zip(axes, ("dumbbell", "nsfnet"), strict=True):
            for axis, name in zip(row, ("latency", "coherence_s"), strict=True):
                for policy in SHOWN:
                    line(axis, found, (topology, name), policy, "G")
                bound = points(found, topology, name, "da", "best_aware")
                axis.plot(
                    *([one[column] for one in bound] for column in range(2)), "k:", label="decoherence-aware optimum"
                )
                dress(axis, found, topology, name)
            row[0].set_ylabel("G of the ideal optimum")
        axes[0][0].set_ylim(-0.03, 1.05)
        figure.legend(*axes[0][0].get_legend_handles_labels(), frameon=False, loc="outside right upper")


def main() -> None:
    """Write all."""
    said, found = rows()
    (RESULTS / "qnum_packet_cells.md").write_text(table(said, found))
    draw_cells(found)
    draw_robustness(found)


if __name__ == "__main__":
    main()

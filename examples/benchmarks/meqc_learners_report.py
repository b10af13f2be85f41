"""Table and picture of what `meqc_learners.py` measured.

    python examples/benchmarks/meqc_learners_report.py

Reads the two tables under `results/`, prints distances from the reference by policy and draws `meqc_learners.png`:
curves against the time that training took, distances by weights, and by size with the policies as they were trained at
U = 10. A mean is over training seeds; its range is from the least to the largest of them.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from evidence import RESULTS
from rich.console import Console
from rich.table import Table

from policies.pictures import TONES, picture

Row = dict[str, str]
SHOWN = ("scoring", "mappo", "dagger", "bidding", "selfish (rule)", "bidding (rule)", "greedy (rule)")
"""Those that are drawn: what knows its own observation only, what talks, what knows everything."""
TRAINED_AT = "10"


def read(path: Path) -> list[Row]:
    """Rows of a table."""
    with path.open() as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def name_of(row: Row) -> str:
    """A learner's name, or a rule's."""
    return row["policy"] if row.get("learned", "yes") == "yes" else f"{row['policy']} (rule)"


Cell = tuple[str, str, str, str]


def distances(rows: Sequence[Row]) -> dict[Cell, list[float]]:
    """Percent above the reference of every training seed, by (mode, policy, users, weight of delay)."""
    found: dict[Cell, list[float]] = defaultdict(list)
    for row in rows:
        found[row["mode"], name_of(row), row["users"], row["delay_weight"]].append(float(row["above_percent"]))
    return found


def said(values: Sequence[float] | None) -> str:
    """Mean, and range where there are several."""
    if not values:
        return ""
    spread = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{fmean(values):.2f}{spread}"


def show(found: dict[Cell, list[float]], mode: str, weights: Sequence[str]) -> None:
    """A table: policies and sizes down, weights across."""
    table = Table("policy", "users", *(f"delay {weight}" for weight in weights), title=f"% above the reference, {mode}")
    for name, users in dict.fromkeys((cell[1], cell[2]) for cell in found if cell[0] == mode):
        table.add_row(name, users, *(said(found.get((mode, name, users, weight))) for weight in weights))
    Console(width=150).print(table)


def draw(found: dict[Cell, list[float]], curves: Sequence[Row], weights: Sequence[str], path: Path) -> None:
    """The picture, of the calibrated mode."""
    tones = dict(zip(SHOWN, TONES, strict=False))
    here = {cell[1:]: values for cell, values in found.items() if cell[0] == "calibrated"}
    names = [name for name in SHOWN if (name, TRAINED_AT, "0.5") in here]
    with picture(path, 1, 3, (15, 4.6)) as (figure, axes):
        left, middle, right = axes[0]
        for name in names:
            if name.endswith("(rule)"):
                left.axhline(fmean(here[name, TRAINED_AT, "0.5"]), color=tones[name], lw=1.2, ls=":")
                continue
            mine = [row for row in curves if row["policy"] == name and row["mode"] == "calibrated"]
            for seed in sorted({row["seed"] for row in mine}):
                some = [row for row in mine if row["seed"] == seed]
                at = [float(row["train_s"]) for row in some]
                left.plot(at, [float(row["above_percent"]) for row in some], color=tones[name], lw=1.4, alpha=0.8)
        left.set(xlabel="training, s", ylabel="% above the optimum, weights 0.5 and 0.5", ylim=(0, 9), title="Learning")
        width = 0.8 / len(names)
        for number, name in enumerate(names):
            at = [place + (number - (len(names) - 1) / 2) * width for place in range(len(weights))]
            middle.bar(
                at, [fmean(here[name, TRAINED_AT, weight]) for weight in weights], width, color=tones[name], label=name
            )
            sizes = sorted(int(cell[1]) for cell in here if cell[0] == name and cell[2] == "0.5")
            height = [fmean(here[name, str(size), "0.5"]) for size in sizes]
            right.plot(sizes, height, "o-", color=tones[name], lw=1.4, ms=4)
        middle.set_xticks(range(len(weights)), [f"{weight}, {1 - float(weight):.1f}" for weight in weights])
        middle.set(xlabel="weights of delay and energy", ylabel="% above the optimum", title="By weights, U = E = 10")
        right.set(xscale="log", xlabel="U = E", ylabel="% above the reference", ylim=(0, None))
        right.set_title("Zero-shot, weights 0.5 and 0.5")
        right.set_xticks([10, 20, 30, 100], ["10", "20", "30", "100"])
        right.minorticks_off()
        figure.legend(*middle.get_legend_handles_labels(), loc="outside lower center", ncols=len(names), frameon=False)


def main() -> None:
    """Print and draw."""
    rows, curves = read(RESULTS / "meqc_learners.csv"), read(RESULTS / "meqc_learners_curves.csv")
    found = distances(rows)
    weights = list(dict.fromkeys(row["delay_weight"] for row in rows))
    for mode in dict.fromkeys(row["mode"] for row in rows):
        show(found, mode, weights)
    draw(found, curves, weights, RESULTS / "meqc_learners.png")


if __name__ == "__main__":
    main()

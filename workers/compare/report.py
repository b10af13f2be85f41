"""What a contest leaves behind: a table for a person, and files with everything behind it."""

from __future__ import annotations

import csv
import json
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from os import cpu_count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.logs import masked
from orchestrator.records import to_json, to_plain
from workers.compare.contest import BASELINE
from workers.compare.standings import Mean, Standing

if TYPE_CHECKING:
    from rich.table import Table

    from workers.compare.contest import Played

PACKAGES = ("qorch", "qiskit", "qiskit-aer", "numpy", "scipy")

WIDE = 110
"""Characters from which on a table shows everything."""

FIGURES = ("cost", "against", "regret", "beyond_bound", "latency_s", "fidelity", "energy_j", "cost_usd", "makespan_s")
"""Of a standing, each with its interval."""


def table(found: Sequence[Standing], *, width: int = 100) -> Table:
    """The standings as a person reads them; energy and price where there is room."""
    from rich.text import Text

    from workers.render_parts import duration, energy, price
    from workers.render_parts import table as empty

    columns: dict[str, Callable[[Standing], str]] = {
        "cost": lambda one: around(one.cost, "{:.3f}"),
        f"against {BASELINE}": lambda one: around(one.against, "{:+.3f}"),
        "regret": lambda one: "—" if one.regret is None else f"{one.regret.value:.1%}",
        "completed in": lambda one: duration(one.latency_s.value),
        "fidelity": lambda one: f"{one.fidelity.value:.4f}",
    }
    if width >= WIDE:
        columns["energy"] = lambda one: energy(one.energy_j.value)
        columns["price"] = lambda one: price(one.cost_usd.value)
    if any(one.failed for one in found):
        columns["not placed"] = lambda one: f"{one.failed:.1%}"
    if any(one.below_floor is not None for one in found):
        columns["below floor"] = lambda one: "—" if one.below_floor is None else f"{one.below_floor:.1%}"
    made = empty("policy", *columns, right=columns)
    for one in found:
        made.add_row(Text(one.policy, "bold"), *(shown(one) for shown in columns.values()))
    return made


def around(found: Mean | None, form: str) -> str:
    """A mean with half of its interval."""
    if found is None:
        return "—"
    half = "" if found.high is None else f" ± {form.replace('+', '').format(found.high - found.value)}"
    return form.format(found.value) + half


def rows(games: Sequence[Played]) -> Iterator[dict[str, Any]]:
    """Each job of each policy and seed, plain JSON."""
    for game in games:
        for policy, ends in game.ends.items():
            for index, (task, end) in enumerate(zip(game.world.tasks, ends, strict=True)):
                yield {
                    "policy": policy,
                    "seed": game.seed,
                    "kind": task.spec.tags[0] if task.spec.tags else "",
                    "at_s": task.at_s,
                    "shots": task.spec.shots,
                    "objective": to_plain(task.spec.objective),
                    **to_plain(end),
                    "best_place": game.best and game.best.places[index],
                    "best_cost": game.best and game.best.costs[index],
                }


def write(folder: Path, found: Sequence[Standing], jobs: Iterator[dict[str, Any]], declaration: dict[str, Any]) -> None:
    """Jobs as JSON lines, standings as a CSV, and what was compared with what."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "declaration.json").write_text(json.dumps(declaration | machine(), indent=2) + "\n", encoding="utf-8")
    with (folder / "jobs.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(to_json(row) + "\n" for row in jobs)
    with (folder / "standings.csv").open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(header())
        lines.writerows(flat(one) for one in found)


def header() -> list[str]:
    """Columns of a standing in a CSV."""
    ends = [f"{name}{suffix}" for name in FIGURES for suffix in ("", "_low_95", "_high_95")]
    return ["policy", "num_seeds", "num_jobs", *ends, "failed", "below_floor"]


def flat(one: Standing) -> list[str]:
    """A standing as a row under :func:`header`; empty where there is nothing to say."""
    ends = [
        value
        for name in FIGURES
        for mean in [getattr(one, name)]
        for value in ((mean.value, mean.low, mean.high) if mean is not None else (None, None, None))
    ]
    shown = ["" if value is None else f"{value:.6g}" for value in (*ends, one.failed, one.below_floor)]
    return [one.policy, str(one.num_seeds), str(one.num_jobs), *shown]


def machine() -> dict[str, Any]:
    """Where and with what it ran."""
    return {
        "command": masked(" ".join(sys.argv)),
        "machine": f"{platform.machine()}, {cpu_count()} cores, Python {platform.python_version()}",
        "packages": {name: version(name) for name in PACKAGES},
    }

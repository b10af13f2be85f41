"""``python -m policies.evaluate``: rules, learned policies and the optimum on the same kept-out slots.

    python -m policies.evaluate --users 10,20,30 --weights 1:0,0.8:0.2,0.5:0.5,0.2:0.8 --slots 2000 --out figures
    python -m policies.evaluate --policies local,greedy,optimum,runs/hmadrl-1 --users 10 --json
    python -m policies.evaluate --live redis+tcp://host:6379/0 --policies random,greedy,runs/placing-1 --slots 30

Prints a table a cell and, with ``--out``, leaves ``costs.csv``, ``overall.csv``, ``costs.png`` and ``profiles.png``.
Seeds from 1 000 000 on are those that no training may use.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Annotated, Any

import typer

from circuits.errors import InvalidParameter
from policies.train import KEPT_OUT, said, setting_from
from policies.words import errors_in_words, number, weights_pair

if TYPE_CHECKING:
    from policies.envs.contest import Cell, Played
    from policies.envs.scores import Overall, Row

SLOTS = 2000
JOBS = 20
"""Slots of a seed if nothing is said, and jobs of a running fleet, which take its time and may cost money (ours)."""

MOST_SLOTS = 10_000_000
NARROWEST = 120
"""Columns of a table; where there are fewer, its lines are wrapped."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    env: Annotated[str, typer.Option(help="world")] = "MEQC-v1",
    policies: Annotated[
        str | None,
        typer.Option(help="rules, optimum and [NAME=]FOLDER of checkpoints, by commas; all rules if not said"),
    ] = None,
    users: Annotated[str, typer.Option(help="mobile users, by commas")] = "10",
    servers: Annotated[str | None, typer.Option(help="servers, by commas; what the world has if not said")] = None,
    weights: Annotated[str, typer.Option(help="of delay and energy, by commas, such as 1:0,0.5:0.5")] = "0.5:0.5",
    slots: Annotated[int | None, typer.Option(help=f"of each seed; {SLOTS}, or {JOBS} jobs with --live")] = None,
    seeds: Annotated[str, typer.Option(help="of the slots, by commas")] = str(KEPT_OUT),
    mode: Annotated[str | None, typer.Option(help="reading of the paper, or set of constants")] = None,
    override: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of the reading, in the keys of a file")] = None,
    live: Annotated[
        str | None,
        typer.Option(metavar="URL", help="of a running fleet: what it has done, placed anew there as in Measured-v1"),
    ] = None,
    world: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of what else the world has to set")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for tables and pictures")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Compare policies."""
    with errors_in_words():
        import torch

        from policies.envs import ENVS, load
        from policies.envs.batched import has_model
        from policies.envs.contest import OPTIMUM, Cell, contest, entrants

        torch.set_num_threads(1)
        if slots is None:
            slots = SLOTS if live is None else JOBS
        if not 1 <= slots <= MOST_SLOTS:
            raise InvalidParameter(f"slots: wanted an integer in [1, {MOST_SLOTS}], got {slots}")
        if live is not None:
            _live(live, policies, _seeds(seeds), slots, as_json=as_json)
            return
        kind = load(env)
        if not has_model(kind.setting_type):
            able = ", ".join(name for name in ENVS if has_model(load(name).setting_type))
            raise InvalidParameter(f"env: wanted {able}, got {env}, whose policies are compared by qorch compare")
        square = kind.setting_type.square
        sizes = _sizes(users, users if servers is None and square else servers)
        asked = [said(users=each, servers=its, mode=mode, reward="own") for each, its in sizes]
        pairs = [pair for pair in weights.split(",") if weights_pair(pair)]
        settings = [setting_from(env, one, pair, override, world) for one in asked for pair in pairs]
        cells = [Cell(env, setting, _seeds(seeds), slots) for setting in settings]
        everybody = [*kind.rules, *([OPTIMUM] if kind.source else [])]
        playing = entrants(everybody if policies is None else policies.split(","), env)
        played: dict[Cell, Played] = {}
        with told(quiet=as_json) as tell:
            for cell in cells:
                played[cell] = contest(cell, playing, tell)
                _note_absent(cell, [one.name for one in playing if one.name not in played[cell]])
        _answer(played, out, bounds_of(played), as_json=as_json)


def _live(url: str, policies: str | None, seeds: Sequence[int], jobs: int, *, as_json: bool) -> None:
    """Rules and checkpoints on the real thing: the mean cost of a job, with its standard error."""
    from orchestrator import Client
    from orchestrator.logs import shown
    from policies.envs.measured.live import LiveWorld, contest, players

    playing = players([*LiveWorld.rules] if policies is None else policies.split(","))
    with Client(url) as client:
        found = contest(client, playing, seeds, jobs)
    rows = [_mean_of(name, costs) for name, costs in found.items()]
    if as_json:
        typer.echo(json.dumps({"live": shown(url), "rows": rows}))
        return
    for row in sorted(rows, key=lambda row: row["cost"]):
        error = "" if row["error"] is None else f" ± {row['error']:.3g}"
        typer.echo(f"{row['policy']:28} {row['cost']:.4g}{error}  ({row['num_jobs']} jobs)")


def _mean_of(name: str, costs: Sequence[float]) -> dict[str, Any]:
    error = stdev(costs) / len(costs) ** 0.5 if len(costs) > 1 else None
    return {"policy": name, "num_jobs": len(costs), "cost": mean(costs), "error": error}


def _note_absent(cell: Cell, names: Sequence[str]) -> None:
    """Say who was left out."""
    if names:
        size = f"{cell.setting.users} users and {cell.setting.servers} servers"
        typer.echo(f"not made for {size}: {', '.join(names)}", err=True)


def _sizes(users: str, servers: str | None) -> list[tuple[int, int | None]]:
    """Users and servers of each size; None of what was not said."""
    counts = [number("users", word, int, "an integer") for word in users.split(",")]
    if servers is None:
        return [(count, None) for count in counts]
    theirs = [number("servers", word, int, "an integer") for word in servers.split(",")]
    if len(theirs) == 1:
        theirs *= len(counts)
    if len(theirs) != len(counts):
        raise InvalidParameter(f"servers: wanted one number, or {len(counts)}, as many as users, got {len(theirs)}")
    return list(zip(counts, theirs, strict=True))


def _seeds(words: str) -> tuple[int, ...]:
    found = tuple(number("seeds", word, int, "an integer") for word in words.split(","))
    if len(set(found)) < len(found) or not all(0 <= seed < 2**63 for seed in found):
        raise InvalidParameter(f"seeds: wanted different integers in [0, {2**63 - 1}], got {words}")
    return found


@contextmanager
def told(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Who plays and how many optima are known, on stderr."""
    if quiet:
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("", total=1)
        yield lambda name, done, total: bars.update(task, description=name, completed=done, total=total)


def bounds_of(played: dict[Cell, Played]) -> dict[Cell, float]:
    """Where optima are only bracketed, what no action goes below in the mean over slots."""
    from policies.envs.contest import OPTIMUM, lower_bound

    return {cell: lower_bound(cell) for cell, costs in played.items() if OPTIMUM in costs and not cell.is_exact}


def _answer(played: dict[Cell, Played], out: Path | None, bounds: dict[Cell, float], *, as_json: bool) -> None:
    from policies.envs.scores import document, overall, rows_of

    cells = {cell: rows_of(cell, costs) for cell, costs in played.items()}
    rows = [row for each in cells.values() for row in each]
    found = overall(rows)
    if out:
        leave(played, rows, found, out)
    if as_json:
        summary = [_summary(one) for one in found]
        kept_out = all(seed >= KEPT_OUT for cell in cells for seed in cell.seeds)
        flat = [document(row) | {"lower_bound": bounds.get(row.cell)} for row in rows]
        typer.echo(json.dumps({"kept_out": kept_out, "rows": flat, "overall": summary}))
        return
    from rich.console import Console

    from policies.envs.render import overall_table, table

    console = Console()
    console = console if console.width >= NARROWEST else Console(width=NARROWEST)
    for cell, each in cells.items():
        console.print(table(cell, each))
        if cell in bounds:
            console.print(f"optimum: the best known action; none is below {bounds[cell]:.4g} in the mean\n")
        if any(seed < KEPT_OUT for seed in cell.seeds):
            console.print(f"seeds below {KEPT_OUT} are for training and tuning; these figures are not kept-out ones")
    if found and len(cells) > 1:
        console.print(overall_table(found))


def _summary(one: Overall) -> dict[str, Any]:
    score = {"score": one.score.value, "score_low": one.score.low, "score_high": one.score.high}
    return {
        "policy": one.policy,
        "num_runs": one.num_runs,
        "num_cells": one.num_cells,
        **score,
        "beats": dict(one.beats),
    }


def leave(played: dict[Cell, Played], rows: Sequence[Row], found: Sequence[Overall], out: Path) -> None:
    """Tables as CSV and, where the optimum played, pictures."""
    from policies.envs.contest import OPTIMUM
    from policies.envs.render import draw_costs, draw_profiles
    from policies.envs.scores import write_csv

    write_csv(rows, out / "costs.csv")
    with (out / "overall.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["policy", "num_runs", "num_cells", "score", "score_low", "score_high"])
        table.writerows([list(_summary(one).values())[:-1] for one in found])
    if all(OPTIMUM in costs for costs in played.values()):
        draw_costs(rows, out / "costs.png")
        draw_profiles(played, out / "profiles.png")


if __name__ == "__main__":
    app()

"""Learned placement in the arena: against rules, search and hindsight, and after something has changed.

``python examples/benchmarks/learned_placement.py`` plays the worlds of ``placement.py`` (its recorded runs, its seeds 1
to 5, its three fleets and loads) with trained checkpoints and their peers. The best schedules known are those of
``placement.py`` (runs/placement/cells.jsonl), unless somebody does better here; that worlds are the same is seen by
``random``, which has to cost the same. Checkpoints were trained on the twin of ``measured_twin.py``, of seeds 200 to
209; nothing was chosen by the seeds that are reported. Cells are kept in runs/placement/learned_cells.jsonl: an
interrupted run goes on, and what has changed is played anew with ``--again NAME``.

``split`` places whole jobs as ``greedy`` does, and no job of these worlds may be shared.

Halfway, a backend breaks (none of the jobs that come after can go there) or begins to take four times as long, and
nobody says so: the one that most jobs of the first half went to under this policy. Told is the cost of the jobs that
come then, over that of the same jobs in the same world without it, by thirds of what is left; and floors missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Annotated

import measured_twin
import placement
import typer
from evidence import RESULTS, results
from placement_report import Cell, _below, consistent, groups, ratio, regret
from rich.console import Console
from rich.progress import track

from orchestrator.cost_model.model import CostModel
from orchestrator.preparation import Fit
from orchestrator.records import to_json
from policies import load
from policies.arena import Ended, Task, World, play
from policies.shelf import entries
from workers.compare.contest import LOADS, Played
from workers.compare.standings import mean, scores

PEERS = ("random", "round_robin", "greedy", "eft", "bandit", "joint")
FIGURES: dict[str, Callable[..., float]] = {
    "cost": lambda one: one.cost,
    "latency_s": lambda one: one.latency_s,
    "fidelity": lambda one: one.fidelity,
    "energy_j": lambda one: one.energy_j,
}
SLOWER = 4.0
WINDOWS = 3
EVENTS = ("outage", "drift")

console = Console()


def main(
    policy: Annotated[list[str] | None, typer.Option(help="LEARNER:HASH; default: all checkpoints there are.")] = None,
    start: Annotated[list[str] | None, typer.Option(help="What is known at the start; default: warm, cold.")] = None,
    again: Annotated[list[str] | None, typer.Option(help="Policies to play anew.")] = None,
    work: Annotated[Path, typer.Option(help="Folder of the recording and of the cells.")] = Path("runs/placement"),
    results_folder: Annotated[Path, typer.Option("--results", help="Where tables go.")] = RESULTS,
) -> None:
    """Play what was not yet played, and report."""
    learned = tuple(policy or (one.name for one in entries()))
    path, before = work / "learned_cells.jsonl", placement._read(work / "cells.jsonl")
    mine = [cell for cell in placement._read(path) if cell.score.policy not in (again or ())]
    path.write_text("".join(to_json(cell) + "\n" for cell in mine))
    have = {(cell.group, cell.score.seed, cell.score.policy) for cell in mine}
    for begun, fleet in product(start or ("warm", "cold"), placement.FLEETS):
        setup = Setup(fleet, work)
        cells = list(product(LOADS, placement.REPORTED, (*PEERS, *learned)))
        for load_name, seed, name in track(cells, description=f"{fleet}, {begun}", console=console):
            if ((fleet, begun, load_name), seed, name) not in have:
                mine.append(setup.cell(load_name, seed, begun, name, before))
                with path.open("a") as file:
                    file.write(to_json(mine[-1]) + "\n")
    seeds = f"{placement.REPORTED}; {placement.NUM_JOBS} jobs a cell"
    _report(consistent(mine), learned, seeds, results_folder)
    _events(learned, work, seeds, results_folder)


class Setup:
    """A fleet with what a service there has learned."""

    def __init__(self, fleet: str, work: Path) -> None:
        self.fleet, self._work = fleet, work
        self._worlds: dict[tuple[str, int], World] = {}
        self._devices = measured_twin.devices_of(fleet)
        before = placement._arrivals(fleet, placement.LEARNING_SEED, placement.LEARNING_JOBS)
        known = placement._recorded([before], self._devices, work)
        warm = placement._learned(fleet, self._devices, before, known)
        self.models: dict[str, CostModel | None] = {"cold": None, "warm": warm}

    def world(self, load_name: str, seed: int) -> World:
        """As ``placement.py`` has it."""
        if (load_name, seed) not in self._worlds:
            told = (self.fleet, seed, load_name, self._devices, self._work, placement.NUM_JOBS)
            self._worlds[load_name, seed] = measured_twin.world_of(*told)
        return self._worlds[load_name, seed]

    def cell(self, load_name: str, seed: int, start: str, name: str, before: Sequence[Cell]) -> Cell:
        """One play, with the best schedule known of its world."""
        world = self.world(load_name, seed)
        ends, _ = play(world, load(name), self.models[start])
        (score,) = scores(Played(seed, world, {name: tuple(ends)}))
        known = [one for one in before if (one.fleet, one.load, one.score.seed) == (self.fleet, load_name, seed)]
        then = {(one.start, one.score.policy): one.score.cost for one in known}
        if name == "random" and abs(score.cost / then[start, name] - 1.0) > 1e-3:
            console.print(
                f"[yellow]{self.fleet}, {load_name}, {seed}: the recording has changed: run placement.py anew[/]"
            )
        best = min((one.score.best for one in known if one.score.best is not None), default=None)
        return Cell(self.fleet, load_name, start, replace(score, best=best))


def _report(cells: Sequence[Cell], learned: Sequence[str], seeds: str, folder: Path) -> None:
    """One row a policy and group: means, and ratios paired by seed, with 95 % intervals."""
    others = ("eft", "random", "round_robin", "greedy", "joint")
    ends = ("", "_low_95", "_high_95")
    columns = ["fleet", "start", "load", "policy"]
    columns += [f"{name}{end}" for name in FIGURES for end in ends]
    columns += [f"cost_over_{other}{end}" for other in others for end in ends]
    columns += [f"regret{end}" for end in ends] + ["below_floor"]
    with results("learned_placement", columns, seeds=seeds, folder=folder) as table:
        for group, policy in product(groups(cells), (*PEERS, *learned)):
            mine = [cell.score for cell in cells if cell.group == group and cell.score.policy == policy]
            if not mine:
                continue
            told = [mean([figure(one) for one in mine]) for figure in FIGURES.values()]
            told += [ratio(cells, group, policy, other, FIGURES["cost"]) for other in others]
            told.append(regret(cells, group, policy))
            shown = [f"{value:.6g}" for one in told for value in (one.value, one.low, one.high)]
            table.writerow([*group, policy, *shown, _below(cells, group, policy)])
            if policy in learned:
                against = ", ".join(
                    f"{o} {one.value:.3f}" for o, one in zip(others, told[len(FIGURES) :], strict=False)
                )
                console.print(f"{', '.join(group)}: {policy} over {against}; regret {told[-1].value:.1%}")


# ── something changes ─────────────────────────────────────────────────────────────────────────────────────────────────
def _events(learned: Sequence[str], work: Path, seeds: str, folder: Path) -> None:
    """What an outage and a drift halfway cost."""
    ends = ("", "_low_95", "_high_95")
    columns = [
        "fleet",
        "event",
        "policy",
        *(f"cost_{window + 1}_of_{WINDOWS}{end}" for window in range(WINDOWS) for end in ends),
    ]
    columns += ["part_there_before", "part_there_after", "floors", "missed", "missed_without"]
    with results("learned_placement_events", columns, seeds=f"{seeds}; load medium, warm", folder=folder) as table:
        for fleet in ("virtual QPUs", "both"):
            setup = Setup(fleet, work)
            for event, policy in product(EVENTS, ("eft", "joint", *learned)):
                played = [
                    _changed(setup, seed, policy, event)
                    for seed in track(placement.REPORTED, description=f"{fleet}, {event}, {policy}")
                ]
                over = [mean([one[0][window] for one in played]) for window in range(WINDOWS)]
                shown = [f"{value:.4g}" for one in over for value in (one.value, one.low, one.high)]
                rest = [sum(column) for column in zip(*(one[1] for one in played), strict=True)]
                parts = [f"{part / len(played):.3f}" for part in rest[:2]]
                table.writerow([fleet, event, policy, *shown, *parts, *rest[2:]])
                costs = ", ".join(f"{one.value:.3f}" for one in over)
                missed = f"missed {rest[3]} of {rest[2]}, without it {rest[4]}"
                console.print(f"{fleet}, {event}, {policy}: {costs}; {missed}")


def _changed(setup: Setup, seed: int, policy: str, event: str) -> tuple[list[float], tuple[float, ...]]:
    """Cost over that without the event in each window after it; parts there, floors, and how many were missed."""
    world, model = setup.world("medium", seed), setup.models["warm"]
    before, _ = play(world, load(policy), model)
    half = len(world.tasks) // 2
    places = [name for end in before[:half] for name in end.choice]
    struck = max(sorted(set(places)), key=places.count)
    other = replace(world, tasks=tuple(_struck(world.tasks, half, struck, event)))
    after, _ = play(other, load(policy), model)
    cuts = [half + (len(world.tasks) - half) * part // WINDOWS for part in range(WINDOWS + 1)]
    over = [
        sum(end.cost for end in after[low:high]) / sum(end.cost for end in before[low:high])
        for low, high in pairwise(cuts)
    ]
    (now,), (then,) = (
        scores(Played(seed, one, {policy: tuple(ends)})) for one, ends in ((other, after), (world, before))
    )
    there = [_part(ends[half:], struck) for ends in (before, after)]
    return over, (*there, now.num_floors, now.num_broken, then.num_broken)


def _part(ends: Sequence[Ended], name: str) -> float:
    return sum(name in end.choice for end in ends) / len(ends)


def _struck(tasks: Sequence[Task], half: int, name: str, event: str) -> Iterator[Task]:
    """The tasks, of which those that come later meet a backend that is broken or slow; where it alone can, it works."""
    for index, task in enumerate(tasks):
        if index < half or name not in task.runs or len(task.runs) == 1:
            yield task
        elif event == "outage":
            facts, fits = task.known
            runs = {other: run for other, run in task.runs.items() if other != name}
            yield replace(task, runs=runs, known=(facts, {**fits, name: Fit(cannot="it is broken")}))
        else:
            slow = task.runs[name]
            device_s = None if slow.device_s is None else slow.device_s * SLOWER
            slow = replace(slow, service_s=slow.service_s * SLOWER, device_s=device_s)
            yield replace(task, runs={**task.runs, name: slow})


if __name__ == "__main__":
    typer.run(main)

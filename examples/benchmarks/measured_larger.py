"""The larger jobs of the twin that comes with qorch, and what its lanes do to each other: measured, joined, held out.

``python examples/benchmarks/measured_larger.py --store FOLDER …`` takes the twin of ``measured_twin.py``, which knows
jobs of 1 to 150 ms that had the machine for themselves, and adds what these cannot tell:

- jobs of 0.05 to 2 s: worlds of ``learned_live.py --workload larger``, made of recorded runs, played with ``random`` as
  ``measured_twin.py`` does it, and with ``eft``, which is told of backends that it has never tried as long as it plays;
  what came of them ``random`` knows. Seeds 200 to 209, and 210 and 211 of which it has seen nothing.
- how much longer a job takes while another worker of the same machine is busy, and the time beside waiting and service:
  fitted from the logs of such days on real workers, folders of ``runs/learned_live_larger/stores``, each named by
  ``--store``. Aer's workers are taken to do to the others what they did there, and the others to Aer's; emulated QPUs,
  which keep their own time, do nothing. Each store is held against what the others say of it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import learned_live
import numpy as np
import placement
import torch
import typer
from evidence import RESULTS, results
from measured_twin import BUILT_IN, COLD, HELD_OUT, ON
from rich.console import Console

from orchestrator.cost_model.model import CostModel
from orchestrator.placement import Lane, Request, Scales
from orchestrator.settings import Settings
from policies import load
from policies.arena import World
from policies.envs.measured import twin as twins
from policies.envs.measured.played import log_of
from policies.envs.measured.sharing import explained, slowed_of, trips_of
from policies.envs.measured.twin import Measured, Twin
from workers.compare.contest import fleet_of, world_of
from workers.equipment import equipped
from workers.node import devices_here

NUM_JOBS = 40
PLAYING = ("random", "eft")
ROLES = {"aer": "simulators", "others": "devices"}
"""Workers of the twin by those of ``learned_live.py`` that run the same kind of simulators."""

console = Console()


def main(
    store: Annotated[list[Path], typer.Option(help="Folder of a day on real workers; several times.")],
    twin: Annotated[Path, typer.Option(help="The twin of small jobs that had the machine for themselves.")] = BUILT_IN,
    out: Annotated[Path, typer.Option(help="Where the joined twin goes.")] = BUILT_IN,
    work: Annotated[Path, typer.Option(help="Folder of the recording.")] = Path("runs/learned_live_larger"),
    results_folder: Annotated[Path, typer.Option("--results", help="Where the tables go.")] = RESULTS,
) -> None:
    """Join, write, and hold against what it has not seen."""
    small = twins.load(str(twin))
    if small.slowed.any():
        raise typer.BadParameter(f"wanted a twin as measured_twin.py makes it, got one with larger jobs: {twin}")
    worlds = _worlds(work)
    requests, measured = list[Request](), list[Measured]()
    for name in reversed(PLAYING):
        asked, found, model = _logs(name, {seed: worlds[seed] for seed in (*COLD, *ON)})
        requests, measured = requests + asked, measured + found
    unseen = [one for seed in HELD_OUT for one in log_of(worlds[seed], load("random"), model)[1]]
    large = twins.fit(requests, worlds[ON[0]].fleet.lanes, Scales(), measured)
    off = twins.error(large, unseen, requests)
    seeds = f"made of {COLD[0]} to {ON[-1]}, held against {HELD_OUT[0]} to {HELD_OUT[-1]}; {NUM_JOBS} jobs each"
    columns = ["num_jobs", "num_measured", "num_unseen", "ratio", "off", "coverage", "estimates_off"]
    with results("measured_larger", columns, seeds=seeds, folder=results_folder) as table:
        table.writerow([len(requests), len(measured), off.num_measured, *(f"{one:.4g}" for one in off[1:5])])
    days = {folder.name: _day(folder) for folder in store}
    lanes = [Lane(name, 1, mine) for name, mine in learned_live.FLEET.items()]
    _report(days, lanes, results_folder)
    everything = [one for mine in days.values() for one in mine]
    both = replace(twins.joined(small, large), slowed=_placed(small, lanes, slowed_of(lanes, everything)))
    twins.save(replace(both, trips_s=torch.from_numpy(trips_of(everything, twins.POOL)).float()), out)
    console.print(f"{out}: {len(both.priority)} jobs; larger ones {off}")


def _worlds(work: Path) -> dict[int, World]:
    devices = equipped(devices_here(sorted(name for mine in learned_live.FLEET.values() for name in mine)), Settings())
    arrivals = {seed: learned_live._arrivals("larger", NUM_JOBS, seed)["light"] for seed in (*COLD, *ON, *HELD_OUT)}
    known = placement._recorded(list(arrivals.values()), devices, work)
    fleet = fleet_of(devices, [Lane(name, 1, mine) for name, mine in learned_live.FLEET.items()])
    return {
        seed: placement.demanding(world_of(mine, known, fleet, seed=seed, load="light", scales=Scales()))
        for seed, mine in arrivals.items()
    }


def _logs(policy: str, worlds: dict[int, World]) -> tuple[list[Request], list[Measured], CostModel | None]:
    """Some from calibration alone, the others with what the last one taught."""
    requests: list[Request] = []
    measured: list[Measured] = []
    model = None
    for seed, world in worlds.items():
        asked, found, model = log_of(world, load(policy), None if seed in COLD else model)
        requests, measured = requests + asked, measured + found
    return requests, measured, model


def _day(folder: Path) -> list[Measured]:
    """What a day's log tells, each work a work of that day: another day may have been slower altogether."""
    found = learned_live._logged(folder).measured.values()

    return [
        one._replace(
            work=(f"{folder.name}:{one.work[0]}", one.work[1]),
            busy=frozenset(name.partition("@")[0] for name in one.busy),
        )
        for one in found
    ]


def _report(days: dict[str, list[Measured]], lanes: list[Lane], folder: Path) -> None:
    """What lanes do to each other by day, and how well the other days say so."""
    columns = ["day", "num_jobs", *(f"{one.worker}_longer" for one in lanes)]
    columns += ["explained_by_other_days", "trip_median_s", "trip_mean_s", "trip_95_s"]
    with results("measured_sharing", columns, seeds=", ".join(days), folder=folder) as table:
        for name, mine in days.items():
            others = [one for other, found in days.items() if other != name for one in found]
            longer = np.exp(slowed_of(lanes, mine).sum(1))
            trips_s = trips_of(mine, twins.POOL)
            told = [*longer, explained(lanes, mine, slowed_of(lanes, others))]
            told += [np.median(trips_s), trips_s.mean(), np.quantile(trips_s, 0.95)]
            table.writerow([name, len(mine), *(f"{one:.4g}" for one in told)])
            console.print(name, len(mine), *(f"{one:.4g}" for one in told))


def _placed(twin: Twin, lanes: list[Lane], slowed: np.ndarray) -> torch.Tensor:
    """The same on the lanes of the twin, by their roles."""
    found, number = torch.zeros(len(twin.lanes), len(twin.lanes)), [lane.worker for lane in lanes]
    for row, mine in enumerate(twin.lanes):
        for column, other in enumerate(twin.lanes):
            if mine.worker in ROLES and other.worker in ROLES:
                found[row, column] = float(slowed[number.index(ROLES[mine.worker]), number.index(ROLES[other.worker])])
    return found


if __name__ == "__main__":
    typer.run(main)

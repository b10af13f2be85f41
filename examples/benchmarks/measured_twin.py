"""The twin that comes with qorch, made of the recorded runs of ``placement.py``, and how far it is off.

``python examples/benchmarks/measured_twin.py`` plays training worlds of the fleet "both" with ``random``, as a service
would that explores: some from calibration alone, the others one after the other with what the last one taught. All that
it keeps is what a log has, requests and measurements of what was placed. Two more worlds, of which it has seen nothing,
tell how far it is off. Seeds 200 to 211; 1 to 5, 99 and 100 to 102 are those of ``placement.py``.

``--larger`` makes twin "wider": that twin with the jobs of five days of ``learned_live.py --workload larger`` among its
own, seeds 21 to 25, played with ``random`` as they were recorded by that benchmark (in ``--work``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import learned_live
import placement
import typer
from evidence import RESULTS, results
from rich.console import Console

from backends.backend import Device
from orchestrator.placement import Scales
from orchestrator.settings import Settings
from policies import load
from policies.arena import World
from policies.envs.measured import twin as twins
from policies.envs.measured.played import log_of
from workers.equipment import equipped
from workers.node import devices_here

COLD, ON, HELD_OUT = range(200, 204), range(204, 210), range(210, 212)
NUM_JOBS = 100
LARGER, LARGER_JOBS = range(21, 26), 40
BUILT_IN, WIDER = (Path("policies/envs/measured") / f"{name}.safetensors" for name in (twins.BUILT_IN, twins.WIDER))

console = Console()


def main(
    out: Annotated[Path | None, typer.Option(help="Where the twin goes; default: where it comes along.")] = None,
    work: Annotated[Path | None, typer.Option(help="Folder of the recording.")] = None,
    larger: Annotated[bool, typer.Option("--larger", help="The one with larger jobs among its own.")] = False,
    results_folder: Annotated[Path, typer.Option("--results", help="Where the table goes.")] = RESULTS,
) -> None:
    """Make the twin and hold it against what it has not seen."""
    if larger:
        _wider(out or WIDER, work or Path("runs/learned_live_larger"))
        return
    out, work = out or BUILT_IN, work or Path("runs/placement")
    devices = devices_of("both")
    requests, measured, model, lanes = [], [], None, ()
    for seed in (*COLD, *ON):
        world = world_of("both", seed, "light", devices, work, NUM_JOBS)
        lanes = world.fleet.lanes
        asked, found, model = log_of(world, load("random"), None if seed in COLD else model)
        requests, measured = requests + asked, measured + found
    unseen = [
        one
        for seed in HELD_OUT
        for one in log_of(world_of("both", seed, "light", devices, work, NUM_JOBS), load("random"), model)[1]
    ]
    twin = twins.fit(requests, lanes, Scales(), measured)
    twins.save(twin, out)
    off = twins.error(twin, unseen, requests)
    seeds = f"made of {COLD[0]} to {ON[-1]}, held against {HELD_OUT[0]} to {HELD_OUT[-1]}; {NUM_JOBS} jobs each"
    columns = ["num_jobs", "num_measured", "num_unseen", *off._fields[1:]]
    with results("measured_twin", columns, seeds=seeds, folder=results_folder) as table:
        table.writerow([len(requests), len(measured), off.num_measured, *(f"{one:.4g}" for one in off[1:])])
    console.print(f"{out}: {len(requests)} jobs, {len(measured)} measurements; {off}")


def _wider(out: Path, work: Path) -> None:
    """The built-in twin, joined with one of larger jobs."""
    devices = equipped(devices_here(sorted(sum(learned_live.FLEET.values(), ()))), Settings())
    requests, measured, lanes = [], [], ()
    for seed in LARGER:
        arrivals = learned_live._arrivals("larger", LARGER_JOBS, seed)
        runs = placement._recorded(list(arrivals.values()), devices, work)
        model = None
        for world in learned_live._worlds(arrivals, runs, devices, seed).values():
            asked, found, model = log_of(world, load("random"), model)
            requests, measured, lanes = requests + asked, measured + found, world.fleet.lanes
    twin = twins.joined(twins.load(twins.BUILT_IN), twins.fit(requests, lanes, Scales(), measured))
    twins.save(twin, out)
    console.print(f"{out}: {len(twin.feasible)} jobs, {len(measured)} of them larger")


def devices_of(fleet: str) -> dict[str, Device]:
    """The backends of a fleet, as workers here announce them."""
    return equipped(devices_here(sorted(placement.FLEETS[fleet])), Settings())


def world_of(fleet: str, seed: int, load_name: str, devices: dict[str, Device], work: Path, num_jobs: int) -> World:
    """A world as ``placement.py`` makes it."""
    arrivals = placement._arrivals(fleet, seed, num_jobs)
    known = placement._recorded([arrivals], devices, work)
    return placement._world(arrivals, known, placement._fleet(fleet, devices), seed, load_name)


if __name__ == "__main__":
    typer.run(main)

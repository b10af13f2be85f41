"""``qorch compare``: policies side by side on the same jobs, from measurements of this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli_frame import note, progress, rendering, settings_of, show
from workers.cli_options import Common, names

if TYPE_CHECKING:
    from rich.console import RenderableType

    from backends.backend import Device
    from orchestrator.placement import Policy
    from orchestrator.settings import Settings
    from workers.compare.contest import Played
    from workers.compare.recording import Advance, Recorded
    from workers.compare.standings import Standing
    from workers.compare.workload import Arrival

MIXED = "mixed"
"""The workload that is built in."""


def compare(
    common: Common,
    policies: Annotated[
        list[str] | None, typer.Option(metavar="A,B", help="Default: all; see `qorch policies`.", show_default=False)
    ] = None,
    workload: Annotated[
        str, typer.Option(metavar="mixed|DIR", help="The built-in mixture, or a folder of OpenQASM files.")
    ] = MIXED,
    backends: Annotated[
        list[str] | None, typer.Option(metavar="A,B*", help="The fleet. Default: aer_*.", show_default=False)
    ] = None,
    load: Annotated[str, typer.Option(metavar="light|medium|overload", help="How fast the jobs arrive.")] = "medium",
    jobs: Annotated[int, typer.Option(min=1, max=10_000, help="Jobs of each seed.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Repetitions with other jobs and arrivals.")] = 5,
    first_seed: Annotated[int, typer.Option(min=0, help="Tune on other seeds than you report.")] = 1,
    most_s: Annotated[
        float, typer.Option(min=0.0, help="Pairs whose simulation is expected to take longer are not recorded.")
    ] = 5.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for table, picture and raw data.", show_default="runs/compare-…")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Submit the jobs for real instead of playing them.")] = False,
) -> None:
    """Compare policies on the same jobs at the same times, from what is measured on this machine.

    Each program runs a few times on each backend, for real; what was recorded is kept and used again, so an interrupted
    comparison goes on. Then every policy plays every seed in a world made of these runs, with the decisions and the
    learning of the orchestrator, and the best placement in hindsight is found. Emulated QPUs count as the devices that
    they emulate. Regret is the mean cost over that of the best schedule known.
    """
    settings = settings_of(common)
    from orchestrator.errors import InvalidJob
    from workers.compare.contest import LOADS
    from workers.compare.recording import noise
    from workers.equipment import equipped
    from workers.node import devices_here

    if load not in LOADS:
        raise typer.BadParameter(f"{load!r} is none of {', '.join(LOADS)}", param_hint="--load")
    known = _policies(names(policies))
    draw = _draw(workload)
    devices = equipped(devices_here(names(backends) or settings.backends or ("aer_*",)), settings)
    if dear := [name for name, device in devices.items() if device.remote]:
        raise InvalidJob(
            f"every program is run on every backend, which {', '.join(dear)} would charge for; leave it out"
        )
    folder = out or Path("runs") / f"compare-{_stamp()}"
    chosen = range(first_seed, first_seed + seeds)
    arrivals = {seed: draw(jobs, seed, devices) for seed in chosen}
    with progress(quiet=common.as_json) as advance:
        recorded = _recorded(arrivals, devices, settings, most_s, advance)
        games = _games(arrivals, recorded, devices, settings, known, load, folder if live else None, advance)
    declared = {
        "policies": list(known),
        "workload": workload,
        "backends": list(devices),
        "load": {load: LOADS[load]},
        "num_jobs": jobs,
        "seeds": list(chosen),
        "live": live,
        "scales": settings.scales,
    }
    _tell(common, games, declared, noise(recorded.values()), folder)


def _stamp() -> str:
    from datetime import UTC, datetime

    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _policies(wanted: Sequence[str]) -> dict[str, Policy]:
    """Live ones. Of all that are registered, those that can be loaded; a named one has to be.

    Raises:
        UnknownPolicy, DependencyNotInstalled: of a named one.
    """
    from backends.errors import BackendError
    from circuits.errors import CircuitError
    from orchestrator.errors import OrchestratorError
    from policies import POLICIES, load

    found = {}
    for name in wanted or POLICIES:
        try:
            found[name] = load(name)
        except (OrchestratorError, CircuitError, BackendError) as error:
            if wanted:
                raise
            note(f"{name} does not play: {error}")
    return found


def _draw(workload: str) -> Callable[[int, int, Mapping[str, Device]], list[Arrival]]:
    """Who gives the jobs, by number, seed and fleet. Raises: typer.BadParameter: neither word nor folder."""
    from workers.compare.workload import mixed, of_folder

    if workload == MIXED:
        return lambda jobs, seed, devices: mixed(
            jobs, seed, horizon_s=1.0, noisy=tuple(n for n, device in devices.items() if device.kind == "emulated_qpu")
        )
    folder = Path(workload).expanduser()
    if not folder.is_dir():
        raise typer.BadParameter(f"wanted {MIXED!r} or a folder; got {workload!r}", param_hint="--workload")
    return lambda jobs, seed, _: of_folder(folder, jobs, seed, horizon_s=1.0)


def _recorded(
    arrivals: Mapping[int, Sequence[Arrival]],
    devices: Mapping[str, Device],
    settings: Settings,
    most_s: float,
    advance: Advance,
) -> dict[tuple[str, int], Recorded]:
    """Every program on every backend, in a child as a worker's."""
    from workers.compare.recording import Recording, recorded
    from workers.sandbox import Sandbox

    recording = Recording(settings.data_dir / "recording.jsonl")
    specs = [one.spec for mine in arrivals.values() for one in mine]
    sandbox = Sandbox()
    try:
        return recorded(specs, devices, recording, sandbox, settings, advance, most_s=most_s)
    except KeyboardInterrupt:
        note(f"interrupted; what was recorded is kept in {recording.path}, and the same command goes on from there")
        raise
    finally:
        sandbox.close()


def _games(
    arrivals: Mapping[int, Sequence[Arrival]],
    recorded: Mapping[tuple[str, int], Recorded],
    devices: Mapping[str, Device],
    settings: Settings,
    policies: Mapping[str, Policy],
    load: str,
    folder: Path | None,
    advance: Advance,
) -> list[Played]:
    """Each seed under each policy: played, or for real with stores in the folder."""
    from orchestrator.job import Times
    from workers.compare import live
    from workers.compare.contest import Played, fleet_of, played, with_hindsight, world_of

    times = Times.EMULATED if folder is None else Times.WALL
    fleet = fleet_of(devices, slots=settings.slots, times=times)
    games = []
    for seed, mine in arrivals.items():
        world = world_of(mine, recorded, fleet, seed=seed, load=load, scales=settings.scales)
        if folder is None:
            games.append(with_hindsight(played(seed, world, policies)))
            advance("play", len(games), len(arrivals))
            continue
        ends = {
            name: live.run(
                world, name, folder / "live" / f"{name}-{seed}", settings, partial(_of, advance, name, seed, len(mine))
            )
            for name in policies
        }
        games.append(Played(seed, world, ends))
    return games


def _of(advance: Advance, name: str, seed: int, total: int, done: int) -> None:
    advance(f"{name}, seed {seed}", done, total)


def _tell(
    common: Common, games: Sequence[Played], declared: dict[str, Any], noise: dict[str, float | None], folder: Path
) -> None:
    """Write everything down, and show what it comes to."""
    from circuits.errors import DependencyNotInstalled
    from orchestrator.records import to_plain
    from workers.compare import report
    from workers.compare.picture import draw
    from workers.compare.standings import scores, standings

    found = standings([score for game in games for score in scores(game)])
    bests = [game.best for game in games if game.best is not None]
    best = sum(one.mean_cost for one in bests) / len(bests) if bests else None
    bound = sum(one.bound for one in bests) / len(bests) if bests else None
    hindsight = {"best_known": best, "bound": bound, "methods": sorted({one.method for one in bests})}
    about = declared | {"noise": noise, "hindsight": hindsight}
    report.write(folder, found, report.rows(games), to_plain(about))
    title = f"{_many(declared['num_jobs'], 'job')} × {_many(len(games), 'seed')}, {next(iter(declared['load']))} load"
    try:
        ends = {one.policy: [end for game in games for end in game.ends[one.policy]] for one in found}
        draw(found, ends, folder / "overview.png", title=title, best=best, bound=bound)
    except DependencyNotInstalled as error:
        note(str(error))
    document = {"standings": found, "folder": str(folder), **to_plain(about)}
    show(common, document, partial(_table, found, title, hindsight, noise, folder))


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _table(
    found: Sequence[Standing], title: str, best: dict[str, Any], noise: dict[str, float | None], folder: Path
) -> RenderableType:
    from rich.text import Text

    from workers.compare.report import table
    from workers.render_parts import spaced

    lines = ["Means per job over seeds, 95 % intervals; differences are paired. Regret: over the best schedule known."]
    if best["best_known"] is not None:
        how = ", ".join(best["methods"])
        lines.append(
            f"In hindsight ({how}): {best['best_known']:.3f}; no schedule costs less than {best['bound']:.3f}."
        )
    if noise["service_s"] is not None and noise["fidelity"] is not None:
        off = f"{noise['service_s']:.0%} in time and {noise['fidelity']:.4f} in fidelity"
        lines.append(f"Repeated runs of one pair differ by {off} (medians).")
    lines.append(f"Raw data and picture: {folder}")
    width = rendering().console().width
    return spaced(Text(title, "bold"), table(found, width=width), Text("\n".join(lines), "dim"))

"""``python -m policies.envs.entanglement generate|play|replay|map``: networks, runs, runs again, and how they look.

python -m policies.envs.entanglement play --policy local --seed 3 --out runs/local
python -m policies.envs.entanglement generate --demand abilene.xml --set offered_hz=4 --out networks/abilene
python -m policies.envs.entanglement map runs/local --picture local.png
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from circuits.errors import InvalidParameter
from circuits.parameters import construct
from policies.envs.commands import AsJson
from policies.envs.entanglement.setting import EntanglementSetting
from policies.words import errors_in_words, fitting, named

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Out = Annotated[Path, typer.Option("--out", help="folder that is written to")]
Set = Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of the setting, as in SPEC.md; repeatable")]
Own = Annotated[
    Path | None, typer.Option("--demand", help="your own: CSV of requests, or SNDlib's XML of traffic; see traces.py")
]


@app.command("generate")
def generate(
    out: Out,
    nodes: Annotated[int, typer.Option(help="number of nodes")] = 100,
    seed: Annotated[int, typer.Option(help="of topology, demand and physics")] = 0,
    changes: Set = None,
    demand: Own = None,
    as_json: AsJson = False,
) -> None:
    """Write a network and what is asked of it: setting.json, and nodes, links, pairs, requests, faults as parquet."""
    with errors_in_words():
        from policies.envs.entanglement.logs import write_episode

        episode = _episode(nodes, seed, changes, demand)
        digests = write_episode(episode, out)
        topology = episode.topology
        found = {
            "out": out.as_posix(),
            "num_nodes": topology.num_nodes,
            "num_links": topology.num_links,
            "num_pairs": episode.demand.num_pairs,
            "num_requests": episode.requests.num,
            "mean_length_km": float(topology.length_km.mean()),
            "mean_transmission": float(topology.transmission.mean()),
            "mean_hops": float(episode.paths.hops[:, 0].mean()),
            "sha256": digests,
        }
    _say(found, as_json)


@app.command("play")
def play_one(
    out: Out,
    policy: Annotated[str, typer.Option(help="static, shortest, random or local")] = "local",
    nodes: Annotated[int, typer.Option(help="number of nodes")] = 100,
    seed: Annotated[int, typer.Option(help="of topology, demand and physics")] = 0,
    changes: Set = None,
    demand: Own = None,
    as_json: AsJson = False,
) -> None:
    """Play an episode by a hand rule, and log it so that it can be played again."""
    with errors_in_words():
        from policies.envs.entanglement.logs import write_run
        from policies.envs.entanglement.metrics import metrics
        from policies.envs.entanglement.play import play
        from policies.envs.entanglement.state import local

        rule = local(policy)
        episode = _episode(nodes, seed, changes, demand)
        with Progress(console=Console(stderr=True), disable=as_json, transient=True) as bar:
            task = bar.add_task("slots", total=episode.setting.num_slots)
            run = play(episode, rule, record=1, trace=True, tell=lambda slot: bar.update(task, completed=slot))
        write_run(run, out, {"name": policy})
    _say({"out": out.as_posix(), "policy": policy, **metrics(run).document()}, as_json)


@app.command("replay")
def replay_one(
    folder: Annotated[Path, typer.Argument(help="of a logged run")],
    as_json: AsJson = False,
) -> None:
    """Play a logged run again without its policy; exit status 1 if any metric differs in any bit."""
    with errors_in_words():
        from policies.envs.entanglement.metrics import metrics
        from policies.envs.entanglement.replay import replay, same

        run, recorded = replay(folder)
        different = same(run, recorded)
    _say({"same": not different, "different": different, **metrics(run).document()}, as_json)
    if different:
        raise typer.Exit(1)


@app.command("map")
def map_one(
    folder: Annotated[Path, typer.Argument(help="of a logged run")],
    picture: Annotated[Path, typer.Option(help="file to draw, such as map.png")],
    as_json: AsJson = False,
) -> None:
    """Draw the network over the time of a logged run: claims, pairs delivered, swaps spent; delivery and contention."""
    with errors_in_words():
        from policies.envs.entanglement.pictures import draw_run

        found = draw_run(folder, picture)
    _say(found, as_json)


def _episode(nodes: int, seed: int, changes: list[str] | None, own: Path | None) -> Any:
    from policies.envs.entanglement.episode import build
    from policies.envs.entanglement.topology import Topology
    from policies.envs.entanglement.traces import read

    seeds = dict.fromkeys(("topology_seed", "demand_seed", "physics_seed"), seed)
    told = fitting(EntanglementSetting, named("set", changes))
    for name in ("num_nodes", *seeds):
        if name in told:
            raise InvalidParameter(f"--set {name}: wanted --nodes or --seed for it, got it twice")
    setting = construct(EntanglementSetting, {"num_nodes": nodes, **seeds, **told})
    if own is None:
        return build(setting)
    topology = Topology.generate(setting.kind, setting.num_nodes, setting.topology_seed)
    asking, asked = read(own, setting, topology)
    return build(setting, topology=topology, demand=asking, requests=asked)


def _say(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("what", "value")
    for name, value in found.items():
        if not isinstance(value, dict):
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)


if __name__ == "__main__":
    app()

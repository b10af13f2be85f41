"""``train`` and ``evaluate``: from words of the command line to a run, and what came of it."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from circuits.errors import InvalidParameter
from circuits.parameters import construct, short
from policies.envs.commands import AsJson
from policies.words import errors_in_words, fitting, named

if TYPE_CHECKING:
    from policies.allocators.dpem.learner import Run
    from policies.learners.kit.checkpoint import Checkpoint
    from policies.learners.learner import Progress


def train(
    topologies: Annotated[str, typer.Option(help="seeds of networks, such as 0:6 or 0,3,5; below 100")] = "0:6",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="of the agent, such as shares=hand")
    ] = None,
    federation: Annotated[
        list[str] | None, typer.Option("--federate", metavar="NAME=VALUE", help="of federated averaging, as sigma=5")
    ] = None,
    forecaster: Annotated[
        list[str] | None, typer.Option("--forecast", metavar="NAME=VALUE", help="of the forecaster, such as steps=100")
    ] = None,
    forecaster_training: Annotated[
        str, typer.Option("--forecaster", help="whose data it learns from: central, or federated with its own budget")
    ] = "central",
    forecaster_federation: Annotated[
        list[str] | None, typer.Option("--federate-forecast", metavar="NAME=VALUE", help="of that, such as sigma=20")
    ] = None,
    world: Annotated[
        list[str] | None, typer.Option("--world", metavar="NAME=VALUE", help="of the world, such as num_nodes=50")
    ] = None,
    epochs: Annotated[int, typer.Option(help="rounds, those before --resume included", min=1, max=10**6)] = 40,
    seed: Annotated[int, typer.Option(help="of weights and exploration", min=0, max=10**6)] = 0,
    out: Annotated[Path, typer.Option(help="folder of the run")] = Path("runs/dpem"),
    start: Annotated[
        Path | None, typer.Option("--from", metavar="FOLDER", help="begin with the heads of a checkpoint")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the folder's checkpoint")] = False,
    threads: Annotated[int, typer.Option(help="of torch", min=1, max=1024)] = 1,
    as_json: AsJson = False,
) -> None:
    """Train agents; parts are switched off by --set paths=hand, shares=hand, forecast=none, training=central."""
    with errors_in_words():
        import torch

        from policies.allocators.dpem import forecast as forecasts
        from policies.allocators.dpem.federation import Federation
        from policies.allocators.dpem.learner import Config, Run, read_run
        from policies.envs.entanglement.setting import EntanglementSetting
        from policies.learners.kit.checkpoint import load
        from policies.train import train as trained

        torch.set_num_threads(threads)
        begun = load(start, read_run) if start else None
        run: Any = Run(
            _built(Config, "set", settings),
            _built(Federation, "federate", federation),
            _built(forecasts.Config, "forecast", forecaster),
            _built(EntanglementSetting, "world", world),
            seeds_of(topologies),
            seed,
            begun.name if begun else "",
            _forecast_federation(forecaster_training, forecaster_federation),
        )
        before = _before(out, run, epochs, resume=resume)
        with bar(epochs, len(before.curve) if before else 0) as tell:
            ended = trained(
                run, epochs, out, before=before, start=begun, tell=lambda now, _: tell(now.epoch, _words(now))
            )
        answer: dict[str, Any] = {
            "checkpoint": str(ended.folder),
            "finished": ended.finished,
            "wall_s": ended.wall_s,
            "epochs": ended.last.epoch,
            "slots": ended.last.slots,
            "figures": dict(ended.last.figures),
            "privacy": _privacy(run, ended.last.epoch),
        }
    if as_json:
        typer.echo(json.dumps(answer))
    else:
        typer.echo(f"{ended.last.epoch} epochs, {_words(ended.last)}, {ended.wall_s:.1f} s: {ended.folder}")
        typer.echo(answer["privacy"]["words"])
    if not ended.finished:
        raise typer.Exit(130)


def evaluate(
    folder: Annotated[Path, typer.Argument(help="of a run, or a checkpoint")],
    topologies: Annotated[str, typer.Option(help="seeds of networks, such as 200:220")] = "200:205",
    physics: Annotated[str, typer.Option(help="seeds of the luck of links and swaps")] = "0,1",
    policies: Annotated[str, typer.Option(help="by commas")] = "dpem,local,shortest,static",
    world: Annotated[
        list[str] | None, typer.Option("--world", metavar="NAME=VALUE", help="of the world, in place of the training's")
    ] = None,
    demand: Annotated[
        Path | None, typer.Option(help="your own, from the history on: CSV of requests, or SNDlib's XML of traffic")
    ] = None,
    hold: Annotated[int, typer.Option(help="back-off: a request probes in 1 of so many slots", min=1, max=1000)] = 1,
    logs: Annotated[Path | None, typer.Option(help="folder for runs of dpem that can be played again")] = None,
    as_json: AsJson = False,
) -> None:
    """Delivery and contention of an agent on other networks, beside rules in the same episodes.

    With --demand mine.csv (time_s,source,target; see policies/envs/entanglement/traces.py) or --demand abilene.xml
    --world offered_hz=4 your own requests or traffic are asked of each network.
    """
    with errors_in_words():
        import torch

        from policies.allocators.dpem.evaluation import Keep, check_policies
        from policies.allocators.dpem.evaluation import evaluate as evaluated
        from policies.allocators.dpem.learner import read_run
        from policies.learners.kit.checkpoint import load

        torch.set_num_threads(1)
        names = check_policies([word.strip() for word in policies.split(",") if word.strip()])
        where, luck = seeds_of(topologies), seeds_of(physics, "physics")
        found = load(folder, read_run)
        run: Any = found.run
        agent: Any = found.actor()
        setting = run.setting.but(**_checked(run.setting, world))
        keep = Keep(logs, found.name) if logs else None
        with bar(len(where) * len(luck) * len(names), 0) as tell:
            done = []
            for score in evaluated(
                run, agent, where, setting=setting, physics=luck, policies=names, hold=hold, keep=keep, own=demand
            ):
                done.append(score)
                tell(len(done), f"{score.policy} {score.metrics.delivery:.3f}")
        rows = [
            {"topology": one.topology, "physics": one.physics, "policy": one.policy, **one.metrics.document()}
            for one in done
        ]
        means = {name: _means([row for row in rows if row["policy"] == name]) for name in names}
    if as_json:
        typer.echo(json.dumps({"checkpoint": found.name, "means": means, "runs": rows}))
        return
    _table(means)


def seeds_of(words: str, name: str = "topologies") -> tuple[int, ...]:
    """``0:6`` or ``0,3,5`` as seeds.

    Raises:
        InvalidParameter: it is neither.
    """
    try:
        first, colon, last = words.partition(":")
        found = tuple(range(int(first), int(last))) if colon else tuple(int(word) for word in words.split(","))
    except ValueError as error:
        raise InvalidParameter(f"{name}: wanted FIRST:END or seeds by commas, got {short(words)}") from error
    if not found or min(found) < 0 or len(set(found)) < len(found) or len(found) > 10_000 or max(found) >= 2**31:
        raise InvalidParameter(f"{name}: wanted different seeds of at least 0, got {short(words)}")
    return found


def _built(kind: type, option: str, words: Sequence[str] | None) -> Any:
    return construct(kind, fitting(kind, named(option, words)))


def _checked(setting: Any, words: Sequence[str] | None) -> dict[str, Any]:
    """Fields of the world by name, all of them known."""
    asked = fitting(type(setting), named("world", words))
    construct(type(setting), asked)
    return asked


def _before(root: Path, run: Run, epochs: int, *, resume: bool) -> Checkpoint | None:
    """The checkpoint to go on from; it has to be one of the same run."""
    from policies.allocators.dpem.learner import read_run
    from policies.learners.kit.checkpoint import exists, load

    if not resume:
        if exists(root):
            raise InvalidParameter(f"{root}: has a checkpoint; go on with --resume, or name another folder with --out")
        return None
    found = load(root, read_run)
    asked, saved = run.document(), found.run.document()
    for name in ("seed", "start", "setting", "config"):
        if asked.get(name) != saved.get(name):
            raise InvalidParameter(f"{name}: wanted that of {root}, got another; go on with the options it began with")
    if len(found.curve) > epochs:
        raise InvalidParameter(f"epochs: wanted at least the {len(found.curve)} that are done in {root}, got {epochs}")
    return found


def _forecast_federation(training: str, words: Sequence[str] | None) -> Any:
    """How the forecaster's weights are averaged; None if it learns from all data."""
    from policies.allocators.dpem.federation import Federation
    from policies.allocators.dpem.forecast import FEDERATED

    if training not in ("central", "federated"):
        raise InvalidParameter(f"forecaster: wanted central or federated, got {short(training)}")
    if training == "central":
        if words:
            raise InvalidParameter(f"--federate-forecast: wanted --forecaster federated with it, got {training}")
        return None
    return construct(Federation, FEDERATED | fitting(Federation, named("federate-forecast", words)))


def _privacy(run: Run, rounds: int) -> dict[str, Any]:
    """Epsilon of what has left the nodes, by part and together, at one delta; null where there is none."""
    from policies.allocators.dpem.deployment import base_of
    from policies.allocators.dpem.privacy import together

    delta = 1e-5
    parts: dict[str, tuple[float, int, float]] = {}
    if run.config.training != "alone" and "learned" in (run.config.paths, run.config.shares):
        federation = run.federation
        parts["heads"] = (federation.sigma, rounds, federation.sampled)
    if base_of(run.config.forecast) == "gru":
        federated = run.forecast_federation
        noise = (federated.sigma, federated.sampled) if federated else (0.0, 1.0)
        parts["forecaster"] = (noise[0], run.forecaster.steps, noise[1])
    if not parts:
        return {"epsilon": None, "words": "nothing leaves a node"}
    each = {name: together([one], delta) for name, one in parts.items()}
    every = together(list(parts.values()), delta)
    said = ", ".join(f"{name} {'infinite' if math.isinf(one) else f'{one:.3g}'}" for name, one in each.items())
    figures = {name: None if math.isinf(one) else one for name, one in {**each, "epsilon": every}.items()}
    if math.isinf(every):
        words = f"no privacy: epsilon is infinite, as not all of what is learned is noised ({said})"
    else:
        words = f"epsilon {every:.3g} at delta {delta:g} ({said}); what it leaves out: the command privacy"
    return {**figures, "delta": delta, "words": words}


@contextmanager
def bar(total: int, done: int) -> Iterator[Callable[[int, str], object]]:
    """Progress on stderr: a bar on a terminal, a line each elsewhere."""
    if not sys.stderr.isatty():
        yield lambda count, words: typer.echo(f"{count}/{total}  {words}", err=True)
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (bars.MofNCompleteColumn(), bars.BarColumn(), bars.TextColumn("{task.description}"))
    with bars.Progress(*columns, bars.TimeRemainingColumn(), console=Console(stderr=True)) as shown:
        task = shown.add_task("", total=total, completed=done)
        yield lambda count, words: shown.update(task, completed=count, description=words)


def _words(now: Progress) -> str:
    return "  ".join(f"{name} {value:.3g}" for name, value in list(now.figures.items())[:5])


def _means(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """Of all episodes of a policy; null where nothing is known."""
    found: dict[str, float | None] = {}
    for name in rows[0]:
        known = [row[name] for row in rows if row[name] is not None]
        if name not in ("topology", "physics", "policy"):
            found[name] = sum(known) / len(known) if known else None
    return found


def _table(means: dict[str, dict[str, float | None]]) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = {
        "delivery": "delivery",
        "contention_literal": "C_lit",
        "contention_blocked": "C_blk",
        "latency_mean_s": "latency [s]",
        "fidelity": "fidelity",
    }
    table = Table("policy", *columns.values())
    for name, row in means.items():
        table.add_row(name, *("-" if row[key] is None else f"{row[key]:.3f}" for key in columns))
    Console().print(table)

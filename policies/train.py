"""``python -m policies.train ALGO``: train a learner in a world, see it learn, stop it and go on.

    python -m policies.train hmadrl --users 10 --servers 10 --seed 1 --epochs 250 --out runs/hmadrl-1
    python -m policies.train hmadrl --users 10 --servers 10 --seed 1 --epochs 500 --out runs/hmadrl-1 --resume
    python -m policies.train placing --env Measured-v1 --world source=twin.safetensors --from placing:b6ed2e --epochs 8

The last one goes on learning, from what a service has measured (`qorch twin`): a new run, with the weights and the
config of a checkpoint. The same options give the same curve on a CPU, in one go or in several. Ctrl-C ends the epoch
and saves it; a second one ends at once, and what was saved last stays. What is saved:
:mod:`policies.learners.kit.checkpoint`.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from circuits.errors import InvalidParameter
from circuits.parameters import construct, domains, short
from policies.words import errors_in_words, fitting, named, plain, weights_pair

if TYPE_CHECKING:
    from policies.learners.kit.checkpoint import Checkpoint, Run
    from policies.learners.learner import Progress

KEPT_OUT = 1_000_000
"""Seeds from here on are those of slots that only evaluation sees."""

WEIGHTS = ("delay_weight", "energy_weight")

SAVE_EVERY_S = 60.0
"""What a sudden end costs at most, and one epoch."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Tell = Callable[["Progress", float], object]


@dataclass(frozen=True)
class Trained:
    """How a training ended.

    Attributes:
        folder: of the checkpoint.   finished: whether all epochs are done.   last: the last one's progress.
        wall_s: seconds of training, those before an interrupt included.
    """

    folder: Path
    finished: bool
    last: Progress
    wall_s: float


def train(
    run: Run,
    epochs: int,
    root: Path,
    *,
    before: Checkpoint | None = None,
    start: Checkpoint | None = None,
    tell: Tell | None = None,
) -> Trained:
    """Train until so many epochs are done.

    Args:
        run: what is trained.   epochs: all of them, those of ``before`` included.   root: where checkpoints are left.
        before: the checkpoint to go on from.   start: the one with whose weights a new run begins.
        tell: called after every epoch with the seconds of training so far.

    Raises:
        InvalidParameter: the learner has come to numbers that are none.
    """
    from policies.learners.kit.checkpoint import save

    learner = run.begin(start) if before is None else before.learner()
    curve, times_s = (list(before.curve), list(before.times_s)) if before else ([], [])
    begun_s = time.monotonic() - (times_s[-1] if times_s else 0.0)
    saved_s = time.monotonic()
    with _interrupts() as interrupted:
        while len(curve) < epochs and not interrupted():
            curve.append(learner.epoch())
            times_s.append(time.monotonic() - begun_s)
            if tell:
                tell(curve[-1], times_s[-1])
            if time.monotonic() - saved_s > SAVE_EVERY_S:
                save(root, run, learner, curve, times_s)
                saved_s = time.monotonic()
        folder = save(root, run, learner, curve, times_s)
    return Trained(folder, len(curve) >= epochs, curve[-1], times_s[-1])


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Whether somebody has asked to stop; who asks twice does not wait for the epoch's end."""
    asked: list[int] = []

    def ask(number: int, _: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        typer.echo("stopping after this epoch; once more to stop at once", err=True)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


@app.command()
def main(
    algo: Annotated[str, typer.Argument(help="learner")],
    env: Annotated[str, typer.Option(help="world")] = "MEQC-v1",
    users: Annotated[int | None, typer.Option(help="mobile users, or jobs; the world's default if not said")] = None,
    servers: Annotated[int | None, typer.Option(help="edge servers, or backends; likewise")] = None,
    weights: Annotated[
        str, typer.Option(help="of delay and energy, such as 0.8:0.2, or drawn in every slot")
    ] = "0.5:0.5",
    reward: Annotated[str, typer.Option(help="what agents are paid: global, own, difference")] = "global",
    mode: Annotated[
        str | None, typer.Option(help="reading of the paper or set of constants, such as calibrated")
    ] = None,
    override: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of the reading, in the keys of a file")] = None,
    world: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of what else the world has to set")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE of the learner's config")] = None,
    seed: Annotated[int, typer.Option(help="of everything that is drawn")] = 1,
    epochs: Annotated[int, typer.Option(help="rounds of play and updates, those before --resume included")] = 250,
    out: Annotated[Path | None, typer.Option(help="folder of the run")] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="LEARNER:HASH|FOLDER", help="begin with a checkpoint's weights and its config"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the folder's checkpoint")] = False,
    threads: Annotated[int, typer.Option(help="of torch", min=1, max=1024)] = 1,
    describe: Annotated[bool, typer.Option("--describe", help="list what --set can set, and stop")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Train a learner."""
    with errors_in_words():
        import torch

        from policies.learners.kit.checkpoint import Run, learner_type

        learner = learner_type(algo)
        kind = learner.config_type
        if describe:
            _describe(kind, as_json=as_json)
            return
        _check(seed, epochs)
        begun = None if start is None else _start(start, algo)
        config = construct(
            kind, {**(asdict(begun.run.config) if begun else {}), **fitting(kind, named("set", settings))}
        )
        asked = said(users=users, servers=servers, reward=reward, mode=mode)
        setting = setting_from(env, asked, weights, override, world)
        able = getattr(learner, "envs", ("MEQC-v1",))
        if env not in able:
            raise InvalidParameter(f"env: wanted {' or '.join(able)}, which {algo} plays, got {env}")
        run = Run(algo, env, seed, config, setting, begun.name if begun else "")
        size = f"{setting.users}x{setting.servers}"
        root = out or Path("runs") / f"{algo}-{env}-{size}-{weights.replace(':', '-')}-seed{seed}"
        before = _before(root, run, epochs, resume=resume)
        torch.set_num_threads(threads)
        with _told(epochs, before) as tell:
            ended = _until_stopped(run, epochs, root, before, begun, tell)
        _answer(ended, root, epochs, as_json=as_json)


def _check(seed: int, epochs: int) -> None:
    if not 0 <= seed < KEPT_OUT:
        raise InvalidParameter(
            f"seed: wanted an integer in [0, {KEPT_OUT - 1}], as later ones are kept for evaluation, got {short(seed)}"
        )
    if not 1 <= epochs <= 10**9:
        raise InvalidParameter(f"epochs: wanted an integer in [1, {10**9}], got {short(epochs)}")


def said(**words: Any) -> dict[str, Any]:
    """Options that were given."""
    return {name: value for name, value in words.items() if value is not None}


def _start(word: str, algo: str) -> Checkpoint:
    """The checkpoint to begin with: one of a shelf by its name, or one of a folder."""
    from policies.learners.kit.checkpoint import load
    from policies.shelf import find, is_name

    found = load(find(word).folder if is_name(word) else Path(word))
    if found.run.learner != algo:
        raise InvalidParameter(
            f"from: wanted a checkpoint of {algo}, got {short(word)}, which is {found.run.learner}'s"
        )
    return found


def setting_from(
    env: str, asked: dict[str, Any], weights: str, override: Sequence[str] | None, world: Sequence[str] | None
) -> Any:
    """The world's setting from the words of the command line.

    Args:
        asked: what needs no reading; None is the world's default.   weights: of delay and energy, or "drawn".
        override, world: ``NAME=VALUE`` of the model and of other fields of the setting. Of these, worlds without a
            model have users, servers and ``world``.
    """
    from policies.envs import load
    from policies.envs.batched import has_model, setting_of

    kind = load(env).setting_type
    asked = {name: value for name, value in asked.items() if value is not None}
    if not has_model(kind):
        sizes: dict[str, Any] = {name: asked[name] for name in ("users", "servers") if name in asked}
        return construct(kind, {**sizes, **fitting(kind, named("world", world))})
    drawn: dict[str, Any] = {"weights": "drawn"}
    pair = drawn if weights == "drawn" else dict(zip(WEIGHTS, weights_pair(weights), strict=True))
    overrides = {name: plain(word) for name, word in named("override", override).items()}
    more = fitting(kind, named("world", world))
    return setting_of({**asked, **pair, **more, "overrides": overrides}, kind)


def _before(root: Path, run: Run, epochs: int, *, resume: bool) -> Checkpoint | None:
    """The checkpoint to go on from; it has to be one of the same run."""
    from policies.learners.kit.checkpoint import exists, load

    if not resume:
        if exists(root):
            raise InvalidParameter(f"{root}: has a checkpoint; go on with --resume, or name another folder with --out")
        return None
    found = load(root)
    asked, saved = ({"start": "", **one.document()} for one in (run, found.run))
    for name, value in asked.items():
        if saved[name] != value:
            parts = value if isinstance(value, dict) else {"": value}
            old = saved[name] if isinstance(value, dict) else {"": saved[name]}
            part = next(key for key in {**parts, **old} if parts.get(key) != old.get(key))
            raise InvalidParameter(
                f"{name}{part and '.'}{part}: wanted {short(old.get(part))}, as in {root}, got {short(parts.get(part))}"
            )
    if len(found.curve) > epochs:
        raise InvalidParameter(f"epochs: wanted at least the {len(found.curve)} that are done in {root}, got {epochs}")
    return found


def _until_stopped(
    run: Run, epochs: int, root: Path, before: Checkpoint | None, start: Checkpoint | None, tell: Tell
) -> Trained:
    """Train; who does not wait for the epoch's end is told what is left of it."""
    from policies.learners.kit.checkpoint import exists

    try:
        return train(run, epochs, root, before=before, start=start, tell=tell)
    except KeyboardInterrupt as stop:
        left = f"the last checkpoint is in {root}; go on with --resume" if exists(root) else "nothing was saved yet"
        typer.echo(f"stopped: {left}", err=True)
        raise typer.Exit(130) from stop


@contextmanager
def _told(epochs: int, before: Checkpoint | None) -> Iterator[Tell]:
    """Progress on stderr: a bar on a terminal, a line an epoch elsewhere."""
    if not sys.stderr.isatty():
        yield lambda now, wall_s: typer.echo(f"epoch {now.epoch}/{epochs}  {_words(now, wall_s)}", err=True)
        return
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("epoch"),
        bars.MofNCompleteColumn(),
        bars.BarColumn(),
        bars.TextColumn("{task.description}"),
    )
    with bars.Progress(*columns, bars.TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=epochs, completed=len(before.curve) if before else 0)
        yield lambda now, wall_s: bar.update(task, completed=now.epoch, description=_words(now, wall_s, 1))


def _words(now: Progress, wall_s: float, num_figures: int = 4) -> str:
    figures = "  ".join(f"{name} {value:.3g}" for name, value in list(now.figures.items())[:num_figures])
    return f"cost {now.cost:.1f}  {now.slots} slots  {now.slots / max(wall_s, 1e-9):.0f}/s  {figures}".rstrip()


def _answer(ended: Trained, root: Path, epochs: int, *, as_json: bool) -> None:
    if as_json:
        last = {"epochs": ended.last.epoch, "slots": ended.last.slots, "cost": ended.last.cost}
        state = {"checkpoint": str(ended.folder), "finished": ended.finished, "wall_s": ended.wall_s}
        typer.echo(json.dumps({**state, **last, "figures": dict(ended.last.figures)}))
    else:
        typer.echo(
            f"{ended.last.epoch} epochs, {_words(ended.last, ended.wall_s)}, {ended.wall_s:.1f} s: {ended.folder}"
        )
    if not ended.finished:
        typer.echo(f"stopped after {ended.last.epoch} of {epochs} epochs; go on with --resume --out {root}", err=True)
        raise typer.Exit(130)


def _describe(kind: type, *, as_json: bool) -> None:
    """Fields of a learner's config: default, domain and meaning."""
    known = domains(kind)
    rows = [(item.name, item.default, known[item.name]) for item in fields(kind) if item.name in known]
    if as_json:
        typer.echo(
            json.dumps(
                {name: {"default": default, "wanted": one.describe(), "doc": one.doc} for name, default, one in rows}
            )
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "default", "wanted", "meaning")
    for name, default, one in rows:
        table.add_row(name, str(default), one.describe(), one.doc)
    Console().print(table)


if __name__ == "__main__":
    app()

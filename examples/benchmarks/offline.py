"""What is learned from logged play alone, of MEQC-v2 or QCN-v2: Decision Transformer and Diffuser, behaviour cloning.

    python examples/benchmarks/offline.py [--world MEQC-v2] [--seeds 5] [--work runs/offline] [--quick]

The log: five rules on episodes of their own. In MEQC-v2 two of them set a price on one thing each, a held QPU or a
joule; the best prices set both. In QCN-v2, where work that nodes have not done is a backlog for whoever comes later,
all are the simple rules of the table; who knows everything of the slot and goes one after the other ("greedy") is the
goal there, which no user can see enough for, and beside it stands the best action of every slot ("optimum"). All
learners have the same features and the same scoring of places. They act on kept-out episodes, the same for all. "data"
is what the rules of the log cost there in the mean, "best of data" the best of them, "best prices" what local play at
tuned prices costs, "bound" the relaxation that no play is below (first episodes alone, and compared there). Returns are
measured as paid ("raw", luck included) or above myopic play on the same tasks ("baseline"); learners are asked for the
best rank, and for others, which gives the picture: asked against attained.

Every run is kept in the work folder as soon as it is done: an interrupted benchmark goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from evidence import RESULTS, results
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from circuits.parameters import construct
from policies.envs import of
from policies.envs.contest import OPTIMUM, Cell, rule
from policies.envs.contract import Observation, Rule
from policies.envs.hindsight import Hindsight
from policies.envs.meqc import hindsight as meqc_hindsight
from policies.envs.meqc import sequential as meqc
from policies.envs.qcn import hindsight as qcn_hindsight
from policies.envs.qcn import sequential as qcn
from policies.learners.kit import checkpoint
from policies.learners.kit.recording import recorded, rule_of
from policies.learners.kit.statistics import interval, resampled
from policies.learners.kit.trajectories import Trajectories, save
from policies.train import KEPT_OUT, train

DATA_SEED = 100
EPISODES = 64
NUM_KEPT = 32
NUM_BOUNDS = 6
ASKS = (0.0, 0.5, 1.0)
LEARNERS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "BC": ("bc", 4, {}),
    "BC 10 % raw": ("bc", 14, {"best": 0.1, "returns": "raw"}),
    "BC 10 % baseline": ("bc", 14, {"best": 0.1}),
    "Decision Transformer raw": ("decision_transformer", 2, {"returns": "raw"}),
    "Decision Transformer baseline": ("decision_transformer", 2, {}),
    "Decision Diffuser baseline": ("decision_diffuser", 5, {}),
}
"""Learner, epochs and config by name. Epochs are what half a minute of one core allows."""
LEARNING_RATE = 3e-3
MYOPIC = "data: selfish"
COLUMNS = (
    "policy runs cost cost_low cost_high below_myopic_percent below_low below_high reached reached_low reached_high "
    "above_bound_percent parameters train_cpu_s"
)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Where:
    """A world, and who is compared there.

    Attributes:
        plays: rules that the log is of.   more: rules beside them, by what they are called; the first is the goal.
        hindsight: what no play is below.   file: of results.
    """

    setting: Any
    plays: tuple[str, ...]
    more: dict[str, str]
    hindsight: Callable[..., list[Hindsight]]
    file: str

    @property
    def goal(self) -> str:
        """What ``reached`` is 1 of."""
        return next(iter(self.more))


WORLDS = {
    "MEQC-v2": Where(
        meqc.SequentialSetting(),
        ("random", "local", "selfish", "priced:2:0", "priced:0:8"),
        {"best prices": "priced:2:8", "best prices, all known": "central:4:8"},  # tuned by meqc_sequential.py
        hindsight=meqc_hindsight.hindsight,
        file="offline",
    ),
    "QCN-v2": Where(
        qcn.SequentialSetting(),
        ("random", "local", "best_edge", "all_cloud", "selfish"),
        {"greedy, all known": "greedy", "best of each slot, all known": OPTIMUM},
        hindsight=qcn_hindsight.hindsight,
        file="offline_qcn",
    ),
}


@dataclass(frozen=True)
class Scale:
    """How much is trained and played."""

    seeds: range
    episodes: int
    num_kept: int
    num_bounds: int
    epochs: int | None = None


@dataclass(frozen=True)
class Student:
    """A trained run: what each kept-out episode cost by the rank that was asked for, parameters, seconds of CPU."""

    costs: dict[float, Floats]
    parameters: int
    train_cpu_s: float


def played(setting: Any, rule: Rule, num: int, seed: int = KEPT_OUT) -> Floats:
    """Mean system cost of a slot in each of so many episodes."""
    world, chance = of(setting)(setting, num, seed, dtype=torch.float64), torch.Generator().manual_seed(seed)
    total = torch.zeros(num, dtype=torch.float64)
    for _ in range(setting.episode_slots):
        with torch.no_grad():
            total += world.step(rule(world, chance)).outcome.cost.sum(-1)
    return np.asarray((total / setting.episode_slots).numpy(), dtype=np.float64)


def acting(actor: Any) -> Rule:
    """A trained actor; its likeliest actions."""

    def act(world: Any, _: torch.Generator) -> Any:
        seen = world.observe()
        action = actor.act(Observation(seen.user.float(), seen.pair.float()))
        return replace(action, shares=action.shares.double())

    return act


def student(env: str, name: str, seed: int, data: Path, digest: str, work: Path, scale: Scale) -> Student:
    """A run, trained and played, or as it was kept."""
    algo, epochs, more = LEARNERS[name]
    kind = checkpoint.learner_type(algo).config_type
    epochs = scale.epochs or epochs
    asked = {"data": str(data), "digest": digest, "epochs": epochs, "learning_rate": LEARNING_RATE, **more}
    root = work / f"{name.replace(' ', '_').replace('%', 'percent')}-{seed}"
    kept = root / "played.json"
    if kept.exists():
        found = json.loads(kept.read_text())
        costs = {float(ask): np.array(each) for ask, each in found["costs"].items()}
        return Student(costs, found["parameters"], found["train_cpu_s"])
    run = checkpoint.Run(algo, env, seed, construct(kind, asked), WORLDS[env].setting)
    begun_s = time.process_time()
    before = checkpoint.load(root) if checkpoint.exists(root) else None
    if before is None or len(before.curve) < epochs:
        train(run, epochs, root, before=before)
    cpu_s = time.process_time() - begun_s
    actor: Any = checkpoint.load(root).actor()
    costs = {}
    for ask in ASKS if hasattr(run.config, "ask") else (1.0,):
        actor.ask = ask  # what has no such thing passes it over
        costs[ask] = played(run.setting, acting(actor), scale.num_kept)
    parameters = sum(each.numel() for each in actor.parameters())
    words = {"costs": {str(ask): each.tolist() for ask, each in costs.items()}}
    kept.write_text(json.dumps({**words, "parameters": parameters, "train_cpu_s": cpu_s}))
    return Student(costs, parameters, cpu_s)


def rules(world: str, where: Where, scale: Scale) -> dict[str, Floats]:
    """What is compared with: each (1, episodes)."""

    def cost_of(word: str) -> Floats:
        cell = Cell(world, where.setting, (KEPT_OUT,), scale.num_kept * where.setting.episode_slots)
        player = rule(cell, word) if word == OPTIMUM else rule_of(where.setting, word)
        return played(where.setting, player, scale.num_kept)

    costs = {word: cost_of(word) for word in where.plays}
    best = min(costs.values(), key=lambda each: float(each.mean()))
    found = {f"data: {word}": each for word, each in costs.items()}
    found |= {"data": np.mean(list(costs.values()), axis=0), "best of data": best}
    found |= {name: cost_of(word) for name, word in where.more.items()}
    return {name: each[None] for name, each in found.items()}


def rows(
    costs: dict[str, Floats], bounds: Floats, students: dict[str, list[Student]], goal: str, myopic: str = MYOPIC
) -> Iterator[list[Any]]:
    """A row a policy; ``reached`` is 0 for the mean of the data and 1 for the goal."""
    value, again = resampled(costs)
    for name, each in costs.items():
        saved = 100.0 * (1.0 - value[name] / value[myopic]), 100.0 * (1.0 - again[name] / again[myopic])
        span, spans = value["data"] - value[goal], again["data"] - again[goal]
        reached = (value["data"] - value[name]) / span, (again["data"] - again[name]) / spans
        figures = [(value[name], again[name]), saved, reached]
        words = [f"{number:.4g}" for mean, draws in figures for number in (mean, *interval(draws))]
        above = f"{100.0 * (each[:, : len(bounds)].mean() / bounds.mean() - 1.0):.3g}"
        runs = students.get(name, [])
        spent = [runs[0].parameters, f"{np.mean([run.train_cpu_s for run in runs]):.1f}"] if runs else ["", ""]
        yield [name, len(each), *words, above, *spent]


def asked_rows(log: Trajectories, costs: dict[str, Floats], students: dict[str, list[Student]]) -> Iterator[list[Any]]:
    """For each rank that was asked for: that return in the log, and what was attained, as saved against myopic play."""
    myopic = costs[MYOPIC][0]
    for name, runs in students.items():
        kind = str(LEARNERS[name][2].get("returns", "baseline"))
        returns = log.returns_to_go(kind)[:, 0].mean(-1).double().numpy() / log.num_slots
        for ask in runs[0].costs if len(runs[0].costs) > 1 else ():
            wanted = float(np.quantile(returns, ask))
            attained = np.stack([run.costs[ask] for run in runs])
            got = -attained if kind == "raw" else myopic - attained
            _, again = resampled({"": got})
            low, high = interval(again[""])
            yield [name, kind, ask, f"{wanted:.4g}", f"{got.mean():.4g}", f"{low:.4g}", f"{high:.4g}", len(runs)]


def draw(rows_: list[list[Any]], path: Path) -> None:
    """Asked return against attained return."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 4))
    words = {"raw": "minus the cost of a slot", "baseline": "saved a slot against myopic play"}
    for panel, (kind, said) in zip(panels, words.items(), strict=True):
        mine = [row for row in rows_ if row[1] == kind]
        for name in dict.fromkeys(row[0] for row in mine):
            points = np.array([[float(number) for number in row[3:7]] for row in mine if row[0] == name])
            error = np.abs(points[:, 2:].T - points[:, 1])
            panel.errorbar(points[:, 0], points[:, 1], yerr=error, marker="o", capsize=3, label=name)
        low, high = panel.get_xlim()
        panel.plot([low, high], [low, high], color="grey", linewidth=0.8, linestyle="--", label="attained = asked")
        panel.set(xlabel=f"asked: {said}", ylabel="attained")
        panel.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main(world: str = "MEQC-v2", seeds: int = 5, work: Path = Path("runs/offline"), quick: bool = False) -> None:
    """Record, train, play, write, show."""
    torch.set_num_threads(1)
    console = Console(width=150)
    if world not in WORLDS:
        raise typer.BadParameter(f"world: wanted {' or '.join(WORLDS)}, got {world}")
    where = WORLDS[world]
    scale, work = Scale(range(1, seeds + 1), EPISODES, NUM_KEPT, NUM_BOUNDS), work / world
    if quick:
        scale, work = Scale(range(1, 2), 2, 4, 1, epochs=1), work / "quick"
    log = recorded(where.setting, where.plays, scale.episodes, DATA_SEED)
    data = work / "play.safetensors"
    digest = save(log, data)
    costs = rules(world, where, scale)
    relaxed = where.hindsight(where.setting, KEPT_OUT, scale.num_kept, first=scale.num_bounds)
    bounds = np.array([each.cost for each in relaxed])
    todo = [(seed, name) for seed in scale.seeds for name in LEARNERS]
    students: dict[str, list[Student]] = {name: [] for name in LEARNERS}
    for seed, name in track(todo, "runs", console=console):
        students[name].append(student(world, name, seed, data, digest, work, scale))
    costs |= {name: np.stack([run.costs[1.0] for run in runs]) for name, runs in students.items()}
    table = list(rows(costs, bounds, students, where.goal))
    asked = list(asked_rows(log, costs, students))
    shown = Table(*COLUMNS.split())
    for row in table:
        shown.add_row(*map(str, row))
    console.print(shown)
    for row in asked:
        console.print(*row)
    luck = float(log.cost.mean(1)[log.play == where.plays.index("selfish")].std())
    console.print(f"the cost of a slot in myopic episodes of the log has a deviation of {luck:.1f}: luck")
    if quick:
        return
    said = f"log {DATA_SEED} to {DATA_SEED + len(where.plays) - 1}, {scale.episodes} episodes each; "
    said += f"training 1 to {seeds}; play {KEPT_OUT}, {scale.num_kept} episodes"
    packages = ("torch", "numpy", "scipy")
    with results(where.file, COLUMNS.split(), seeds=said, packages=packages) as file:
        file.writerows(table)
        file.writerow(["bound", "", f"{bounds.mean():.4g}", *[""] * 8, "0", "", ""])
    columns = ["learner", "returns", "rank", "asked", "attained", "attained_low", "attained_high", "runs"]
    with results(f"{where.file}_asked", columns, seeds=said, packages=packages) as file:
        file.writerows(asked)
    draw(asked, RESULTS / f"{where.file}_asked.png")


if __name__ == "__main__":
    typer.run(main)

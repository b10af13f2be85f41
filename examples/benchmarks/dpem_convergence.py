"""How soon DPEM has learned: its held-out delivery after every update, by how it is trained.

    python examples/benchmarks/dpem_convergence.py [--seeds 0:5] [--rounds 40] [--eval 8] [--runs runs]

``pulls`` is the search of shares on networks 0 to 23 (an update is a generation); ``central``, ``federated`` and
``alone`` learn paths on top of what it found (folder ``pulls/SEED``, see ``dpem_gain.py``) on network 50, an update an
episode. Held-out are later episodes of network 50, the same for all. Converged: the first update after which the mean
of the last ten stays within 1 % of its final value. Slots of the world, decisions, bytes that are sent and
seconds of one core are those until then; seconds are of a machine that others use too. It may be interrupted and run
again; writes ``results/dpem_convergence.csv`` and ``.png``, and ``results/dpem_convergence_curves.csv``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dpem_rows import PACKAGES, measured
from evidence import RESULTS, results

from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.deployment import deploy
from policies.allocators.dpem.episodes import delivery, rule_of
from policies.allocators.dpem.federation import Federation
from policies.allocators.dpem.learner import Config, Run, read_run
from policies.envs.entanglement import state as states
from policies.envs.entanglement.play import play
from policies.envs.entanglement.setting import EntanglementSetting
from policies.learners.kit.checkpoint import load
from policies.pictures import TONES, picture

NETWORK, WINDOW, WITHIN = 50, 10, 0.01
WORLD = EntanglementSetting(duration_s=300.0)
LABELS = {
    "pulls": "shares, 24 networks",
    "central": "paths, data pooled",
    "federated": "paths, federated",
    "alone": "paths, each node alone",
}
SHIFT = {"pulls": -14, "central": 6, "federated": -4, "alone": -4}
"""Of labels, points, so that they do not lie on each other."""

TRAININGS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "pulls": ({"training": "evolved", "paths": "hand"}, tuple(range(24))),
    "central": ({"training": "central"}, (NETWORK,)),
    "federated": ({"training": "federated"}, (NETWORK,)),
    "alone": ({"training": "alone"}, (NETWORK,)),
}
CURVES = ("training", "seed", "rounds", "episodes", "update", "delivery", "slots", "decisions", "bytes", "train_s")
COLUMNS = (
    *("training", "seed", "first_delivery", "final_delivery", "updates", "slots", "share_decisions", "path_decisions"),
    *("bytes", "train_s"),
)


def curve(runs: Path, training: str, seed: int, rounds: int, episodes: int) -> Iterator[list[float]]:
    """Held-out delivery after each update, and what has been spent."""
    changed, networks = TRAININGS[training]
    asked: dict[str, Any] = {"width": 32, "beta": 0.5, "shares": "pulls", "forecast": "none", "windows": rounds}
    if training == "pulls":
        asked["windows"] = 4
    run = Run(Config(**{**asked, **changed}), Federation(), forecasts.Config(), WORLD, networks, seed)
    learner: Any = run.begin(None if training == "pulls" else load(runs / "pulls" / str(seed), read_run))
    later = deploy(WORLD, NETWORK, history_s=run.config.history_s, windows=rounds + episodes)
    held_out = [later.episode(window, 10**6 + window) for window in range(rounds, rounds + episodes)]

    def judged() -> float:
        rule = rule_of(learner.actor(), None)
        return float(np.mean([delivery(play(each, rule)) for each in held_out]))

    asks = [play(each, rule_of(learner.actor(), None), record=1).state.count[states.NUM_DECISIONS] for each in held_out]
    a_slot = float(np.mean(asks)) / WORLD.num_slots  # of paths, as often as in the held-out episodes
    yield [0, judged(), 0, 0.0, 0.0, 0.0]
    sent = train_s = 0.0
    for update in range(1, rounds + 1):
        begun_s = time.process_time()
        progress = learner.epoch()
        train_s += time.process_time() - begun_s
        sent += progress.figures.get("bytes", 0.0)
        yield [update, judged(), progress.slots, progress.slots * a_slot, sent, train_s]


def converged(found: np.ndarray) -> int:
    """First update after which the mean of the last ten stays near its final value."""
    means = np.array([found[max(0, end - WINDOW) : end].mean() for end in range(1, len(found) + 1)])
    away = np.flatnonzero(np.abs(means - means[-1]) > WITHIN * means[-1])
    return int(away[-1]) + 1 if away.size else 0


def summary(rows: list[dict[str, str]], seeds: str) -> None:
    """What was spent until then, by training and seed."""
    with results("dpem_convergence", COLUMNS, seeds=seeds, packages=PACKAGES) as table:
        for training, seed in dict.fromkeys((row["training"], row["seed"]) for row in rows):
            mine = [row for row in rows if (row["training"], row["seed"]) == (training, seed)]
            found = np.array([float(row["delivery"]) for row in mine])
            at = converged(found)
            slots = int(float(mine[at]["slots"]))
            paths = round(float(mine[at]["decisions"]))
            spent = (slots, slots * WORLD.num_nodes, paths, mine[at]["bytes"], mine[at]["train_s"])
            table.writerow([training, seed, f"{found[0]:.4f}", f"{found[-WINDOW:].mean():.4f}", at, *spent])
            print(training, seed, f"{found[0]:.4f} to {found[-WINDOW:].mean():.4f}, converged after {at}", *spent)


def draw(rows: list[dict[str, str]]) -> None:
    """Held-out delivery by update: each seed, and their mean."""
    with picture(RESULTS / "dpem_convergence.png", 1, 1, (8.0, 4.4)) as (_, axes):
        axis = axes[0, 0]
        for tone, training in zip(TONES, dict.fromkeys(row["training"] for row in rows), strict=False):
            of_seed: dict[str, list[float]] = {}
            for row in rows:
                if row["training"] == training:
                    of_seed.setdefault(row["seed"], []).append(float(row["delivery"]))
            for found in of_seed.values():
                axis.plot(found, color=tone, lw=0.8, alpha=0.35)
            mean = np.mean(list(of_seed.values()), axis=0)
            axis.plot(mean, color=tone, lw=2.2)
            axis.annotate(
                LABELS[training],
                (len(mean) - 1, mean[-1]),
                (6, SHIFT[training]),
                textcoords="offset points",
                color=tone,
            )
        axis.set(xlabel="update", ylabel="delivery", title=f"Later episodes of network {NETWORK}, by training")
        axis.margins(x=0.0)
        axis.grid(alpha=0.2)


def main() -> None:
    """Measure what is not measured yet."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", default="0:5")
    asked.add_argument("--trainings", default=",".join(TRAININGS))
    asked.add_argument("--rounds", type=int, default=40)
    asked.add_argument("--eval", type=int, default=8)
    asked.add_argument("--runs", type=Path, default=Path("runs"))
    words = asked.parse_args()
    torch.set_num_threads(1)
    todo = [
        (name, seed, words.rounds, words.eval)
        for seed in seeds_of(words.seeds, "seeds")
        for name in words.trainings.split(",")
    ]
    seeds = f"training {words.seeds}, network {NETWORK}"
    rows = measured(
        *("dpem_convergence_curves", CURVES, 4, todo, lambda *case: curve(words.runs, *case)),
        seeds=seeds,
        runs=words.runs,
    )
    summary(rows, seeds)
    draw(rows)


if __name__ == "__main__":
    main()

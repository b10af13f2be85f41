"""What privacy costs: delivery against epsilon, for two sizes of policy and networks of 100 and 1 000 nodes.

    python examples/benchmarks/dpem_privacy.py [--seeds 0:5] [--sigmas 0,5,10,20,50,100] [--widths 8,32] [--nodes 100]
        [--begin hand] [--rounds 40] [--topology 50] [--eval 10] [--runs runs/dpem_privacy]
    python examples/benchmarks/dpem_privacy.py --nodes 1000 --rounds 20 --eval 4 --sigmas 0,20,100,500

Every node of one network takes part in every round: 3 local steps, clip 0.1, server momentum 0.7; the path head alone
is learned (201 or 1 569 weights), as the share head has few. It begins as the hand rule, which is public, or with
random weights, of which 40 rounds make far less. Judged in episodes of the same network that were not trained in,
beside rules and a fresh centre (every 0.2 s) in the same episodes. Epsilon at delta = 1e-5 is exact (Gaussian
differential privacy). Seed by seed, so that what is there when it is interrupted is even; run again, it goes on. Writes
``results/dpem_privacy.csv`` and ``.png``, of all that was ever measured into ``--runs``.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from dpem_rows import measured
from dpem_trained import after, mean
from evidence import RESULTS
from scipy import stats

from policies.allocators.central import control
from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.deployment import deploy
from policies.allocators.dpem.federation import Federation, round_bytes
from policies.allocators.dpem.learner import Config, Run
from policies.allocators.dpem.privacy import gaussian_epsilon, gaussian_mu
from policies.envs.entanglement.metrics import metrics
from policies.envs.entanglement.setting import EntanglementSetting
from policies.pictures import TONES, picture, plain_log
from policies.words import plain

DELTA = 1e-5
HZ_PER_NODE = 0.0664
FRESH_S = 0.2
BEGINNINGS = {"hand": "the hand rule", "random": "random weights"}
LINES = {"central": "centre, fresh", "local": "hand rule", "shortest": "shortest path"}
COLUMNS = (
    *("nodes", "begin", "width", "sigma", "seed", "rounds", "topology", "episodes", "weights", "epsilon"),
    *("delivery", "contention_blocked", "bytes", *LINES),
)


def trained(
    nodes: int, begin: str, width: int, sigma: float, seed: int, rounds: int, topology: int, episodes: int
) -> Iterator[tuple[int | float, ...]]:
    """One training, and what it is worth."""
    config = Config(shares="hand", forecast="none", history_s=0.0, training="federated", width=width, begin=begin)
    run = Run(config, Federation(sigma=sigma), forecasts.Config(), _setting(nodes), (topology,), seed)
    agent, found = after(run, rounds, episodes)
    size = agent.path_shape.num_weights
    epsilon = gaussian_epsilon(gaussian_mu(sigma, rounds), DELTA) if sigma else math.inf
    delivery = {name: mean(its, "delivery") for name, its in found.items()}
    delivery["central"] = _central(nodes, rounds, topology, episodes)
    sent = rounds * round_bytes(size, nodes)
    blocked = mean(found["dpem"], "contention_blocked")
    yield size, epsilon, delivery["dpem"], blocked, sent, *(delivery[name] for name in LINES)


def _setting(nodes: int) -> EntanglementSetting:
    return EntanglementSetting(num_nodes=nodes, duration_s=300.0, offered_hz=HZ_PER_NODE * nodes)


@lru_cache(maxsize=8)
def _central(nodes: int, rounds: int, topology: int, episodes: int) -> float:
    """Delivery of a fresh centre in the later episodes."""
    later = deploy(_setting(nodes), topology, history_s=0.0, windows=rounds + episodes)
    cases = (later.episode(window, 10**6 + window) for window in range(rounds, rounds + episodes))
    return mean([metrics(control(case, "central_full", period_s=FRESH_S).run) for case in cases], "delivery")


class Point(NamedTuple):
    """Delivery at one epsilon: mean over training seeds, half width of the 95 % t interval (nan of one seed)."""

    epsilon: float
    delivery: float
    spread: float
    num: int


def points(rows: Iterable[Mapping[str, str]]) -> list[Point]:
    """By epsilon, of rows that differ in nothing but noise and training seed."""
    by_epsilon: dict[float, list[float]] = {}
    for row in rows:
        by_epsilon.setdefault(float(row["epsilon"]), []).append(float(row["delivery"]))
    return [
        Point(epsilon, float(np.mean(each)), _spread(each), len(each)) for epsilon, each in sorted(by_epsilon.items())
    ]


def _spread(values: Sequence[float]) -> float:
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)) if len(values) > 1 else math.nan


def by(rows: Iterable[dict[str, str]], *names: str) -> dict[tuple[Any, ...], list[dict[str, str]]]:
    """Rows by some of their columns, in their order."""
    found: dict[tuple[Any, ...], list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault(tuple(plain(row[name]) for name in names), []).append(row)
    return dict(sorted(found.items()))


def draw(rows: Sequence[dict[str, str]], path: Path) -> None:
    """Delivery over epsilon, a panel for each network, a curve for each size of policy."""
    panels = by(rows, "nodes", "begin", "rounds", "topology", "episodes")
    with picture(path, 1, len(panels), (1.0 + 5.4 * len(panels), 4.6), sharey=True) as (_, axes):
        for axis, ((nodes, begin, rounds, *_), mine) in zip(axes[0], panels.items(), strict=True):
            for tone, ((weights,), each) in zip(TONES, by(mine, "weights").items(), strict=False):
                _curve(axis, points(each), f"{weights:,} weights".replace(",", " "), tone)
            plain_log(axis, "x")
            _references(axis, mine)
            axis.set_title(f"{nodes} nodes, {rounds} rounds from {BEGINNINGS[begin]}")
            axis.set_xlabel(f"epsilon at delta = {DELTA:g}")
            axis.grid(color="#ececec", linewidth=0.6)
            axis.legend(frameon=False, fontsize=9, loc="lower right")
            seen = [point[1] for each in by(rows, "nodes", "weights").values() for point in points(each)]
            seen += [float(row[name]) for row in rows for name in LINES]
            axis.set_ylim(min(seen) - 0.02, max(seen) + 0.02)  # means; an interval may go beyond
        axes[0][0].set_ylabel("delivery")


def _curve(axis: Any, found: Sequence[Point], label: str, tone: str) -> None:
    """Means with intervals; without noise, a dashed line and its interval as a band."""
    noised = [point for point in found if math.isfinite(point.epsilon)]
    x, y, spread = ([point[place] for point in noised] for place in range(3))
    axis.errorbar(x, y, np.nan_to_num(spread), color=tone, marker="o", markersize=4, capsize=3, label=label)
    for _, delivery, width, _ in found[len(noised) :]:
        axis.axhline(delivery, color=tone, linestyle="--", linewidth=1.2, label=f"{label}, no noise")
        axis.axhspan(delivery - np.nan_to_num(width), delivery + np.nan_to_num(width), color=tone, alpha=0.08)


def _references(axis: Any, rows: Sequence[Mapping[str, str]]) -> None:
    """Rules in the same episodes, named at the left end."""
    for name, words in LINES.items():
        delivery = float(rows[0][name])
        axis.axhline(delivery, color="#6b7683", linewidth=0.9, linestyle=":")
        spot = {"xycoords": ("axes fraction", "data"), "fontsize": 8, "color": "#6b7683", "va": "bottom"}
        axis.annotate(words, (0.01, delivery), **spot)


def main() -> None:
    """Measure what is not measured yet."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (
        ("seeds", "0:5"),
        ("sigmas", "0,5,10,20,50,100"),
        ("widths", "8,32"),
        ("nodes", "100"),
        ("begin", "hand"),
    ):
        asked.add_argument(f"--{name}", default=value)
    for name, number in (("rounds", 40), ("topology", 50), ("eval", 10)):
        asked.add_argument(f"--{name}", type=int, default=number)
    asked.add_argument("--runs", type=Path, default=Path("runs/dpem_privacy"))
    words = asked.parse_args()
    torch.set_num_threads(1)
    todo = [
        (int(nodes), begin, int(width), float(sigma), seed, words.rounds, words.topology, words.eval)
        for nodes in words.nodes.split(",")
        for begin in words.begin.split(",")
        for seed in seeds_of(words.seeds, "seeds")
        for width in words.widths.split(",")
        for sigma in words.sigmas.split(",")
    ]
    seeds = f"training {words.seeds}, topology {words.topology}"
    rows = measured("dpem_privacy", COLUMNS, 8, todo, trained, seeds=seeds, runs=words.runs)
    if rows:
        draw(rows, RESULTS / "dpem_privacy.png")
    for (nodes, begin, rounds, weights), mine in by(rows, "nodes", "begin", "rounds", "weights").items():
        print(f"{nodes} nodes, {rounds} rounds from {BEGINNINGS[begin]}, {weights} weights: " + ", ".join(
            f"{name} {float(mine[0][name]):.3f}" for name in LINES
        ))  # fmt: skip
        for point in points(mine):
            print(f"  epsilon {point.epsilon:8.3g}  delivery {point.delivery:.4f} ± {point.spread:.4f} ({point.num})")


if __name__ == "__main__":
    main()

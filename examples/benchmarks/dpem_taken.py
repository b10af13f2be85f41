"""Do forecasts pay where links expect them on the paths that pairs really took?

    python examples/benchmarks/dpem_taken.py [--seeds 100:110] [--physics 0:2]

A pair's forecast names links; by "first" those of its first candidate, by "taken" those of all candidates, in the parts
in which its requests began on them in the 600 s before the episode, by "hindsight" in those of the very episode under
links that expect their running mean. The hand rule for paths and shares, load 0.8, coherence 10 s, a history of 1200 s;
half of all pairs are asked for by batch jobs, which are not announced, or none. Gains are over links that expect their
running mean, in the same episodes; blocks are topologies, p is Holm's over all rows. It may be interrupted and run
again. Writes ``results/dpem_taken.csv``.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dpem_announced import FORECASTER, HAND, SHARES, other, world
from dpem_rows import PACKAGES, kept
from evidence import results

from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.deployment import link_forecasts, pair_forecasts, taken, trained_forecaster
from policies.envs.entanglement import state
from policies.envs.entanglement.metrics import metrics
from policies.envs.entanglement.play import play
from policies.significance import holm, paired, ratio

DURATION_S, COHERENCE_S = 600.0, 10.0
DEADLINES_S = (0.4, 2.0, 5.0)
FORECASTS = ("seasonal_naive", "gru", "truth")
SPREADS = ("first", "taken", "hindsight")
COLUMNS = ("share", "deadline_s", "forecast", "spread", "topologies", "first_path", "delivery")
TESTED = ("gain", "low", "high", "p_holm")


def judged(physics: tuple[int, ...], share: float, topology: int) -> Iterator[tuple[Any, ...]]:
    """Every cell of one network and part of jobs: deadline, forecast, spread, part on the first path, delivery."""
    deployment = world(share, topology, DURATION_S)
    model = trained_forecaster(deployment, FORECASTER, topology)
    of_pairs = {name: pair_forecasts(deployment, name, FORECASTER, model) for name in FORECASTS}
    for deadline_s in DEADLINES_S:
        here = other(deployment, deadline_s, COHERENCE_S)
        usual = state.local(HAND)
        asked = here.demand.weight

        def delivery(rules: list[state.Rule], here: Any = here) -> float:
            runs = [play(here.episode(0, luck), rule) for luck, rule in zip(physics, rules, strict=True)]
            return float(np.mean([metrics(run).delivery for run in runs]))

        yield deadline_s, "none", "first", 1.0, delivery([usual] * len(physics))
        before = taken(here, usual, -1, physics[0])
        meanwhile = [taken(here, usual, 0, luck) for luck in physics]
        for name, spread in product(FORECASTS, SPREADS):
            parts = {"first": None, "taken": before, "hindsight": None}[spread]
            spreads = meanwhile if spread == "hindsight" else [parts] * len(physics)
            links = [link_forecasts(here, of_pairs[name], FORECASTER.bin_s, 0, each) for each in spreads]
            first = 1.0 if spread == "first" else float(np.average(spreads[0][:, 0], weights=asked))
            yield deadline_s, name, spread, first, delivery([state.local(HAND, forecast=each) for each in links])


def cells(rows: list[list[str]]) -> list[dict[str, Any]]:
    """Of all topologies, with gains over the running mean and their tests."""
    found: dict[tuple[str, ...], dict[int, tuple[float, float]]] = defaultdict(dict)
    for share, topology, deadline_s, name, spread, first, delivery in rows:
        found[share, deadline_s, name, spread][int(topology)] = float(first), float(delivery)
    out = []
    for (share, deadline_s, name, spread), mine in found.items():
        usual = found[share, deadline_s, "none", "first"]
        seeds = sorted(mine)
        first, delivery = (np.array([mine[seed][place] for seed in seeds]) for place in range(2))
        its = np.array([usual[seed][1] for seed in seeds])
        row = (share, deadline_s, name, spread, len(seeds), float(first.mean()), float(delivery.mean()))
        out.append(dict(zip(COLUMNS, row, strict=True)))
        if name != "none":
            gain = ratio(delivery, its)
            out[-1] |= {"gain": gain.gain, "low": gain.low, "high": gain.high, "p": paired(delivery, its).p}
    compared = [row for row in out if "p" in row]
    for row, p in zip(compared, holm([row.pop("p") for row in compared]), strict=True):
        row["p_holm"] = p
    return out


def main() -> None:
    """Measure what is not measured yet, then tell of all."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", default="100:110", help="topologies, FIRST:END")
    asked.add_argument("--physics", default="0:2", help="seeds of luck, FIRST:END")
    asked.add_argument("--runs", type=Path, default=Path("runs") / "dpem_taken", help="what was measured")
    words = asked.parse_args()
    torch.set_num_threads(1)
    todo = list(product(SHARES, seeds_of(words.seeds, "seeds")))
    measure = partial(judged, seeds_of(words.physics, "physics"))
    found = cells(kept("dpem_taken", 2, todo, measure, words.runs))
    seeds = f"topologies and demand {words.seeds}, luck {words.physics}"
    with results("dpem_taken", (*COLUMNS, *TESTED), seeds=seeds, packages=PACKAGES) as table:
        for row in found:
            values = [row.get(name, "") for name in (*COLUMNS, *TESTED)]
            table.writerow([f"{each:.5g}" if isinstance(each, float) else each for each in values])
            print(*values, sep="  ")


if __name__ == "__main__":
    main()

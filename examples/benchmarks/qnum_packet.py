"""QPrimalDual and its rivals packet by packet: dumbbell and NSFNET over load, latency and coherence; what goes wrong.

    python examples/benchmarks/qnum_packet.py --part cells       # minutes on one core; --seconds 20 for a first look
    python examples/benchmarks/qnum_packet.py --part trouble     # losses, a link that fails, flows that join and leave
    python examples/benchmarks/qnum_packet.py --part jackson     # an open loop beside its prediction

Writes ``results/qnum_packet_PART.csv``; ``qnum_packet_report.py`` makes tables and figures of the cells. Policies of
open loops (``open:NAME``) send at the rates of an allocator that knows the whole network but no decoherence, less a
tenth, since queues at full links have no mean. G is the weighted geometric mean of each flow's R f(W) over that of an
optimum: the ideal one, and the one that knows of decoherence and latency; 0 where a flow gets nothing. Ctrl-C keeps the
rows that are there.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from evidence import results
from scipy.stats import t as student

from circuits.errors import CircuitError
from policies.allocators import ALLOCATORS, load
from policies.allocators.optimum import optimum
from policies.envs.qnum.network import Network
from policies.envs.qnum.packet.jackson import open_loop
from policies.envs.qnum.packet.play import play, settled_s, share_of, with_latency, without
from policies.envs.qnum.packet.settings import VARIANTS, Change, Physics, Run
from policies.envs.qnum.packet.summary import Summary, summary
from policies.envs.qnum.topologies import dumbbell, nsfnet, with_flows

SEEDS = range(1_000_000, 1_000_005)
ROOM = 0.1
AXES = {"load": (0.5, 1.0, 2.0), "latency": (1.0, 10.0, 30.0, 100.0), "coherence_s": (math.inf, 10.0, 3.0, 1.0, 0.3)}
LASTS = {"dumbbell": 1.0, "nsfnet": 0.8}
"""Of the seconds that are asked for: NSFNET delivers ten times as many pairs a second, and settles in 15 s."""
FIGURES = ("G", "G_aware", "rate_hz", "fidelity", "mean_queue", "max_queue", "beyond_bound", "worth_nothing", "bytes")
PACKAGES = ("numpy", "scipy", "numba")


@dataclass(frozen=True)
class Cell:
    """A network and its physics, one of them away from the middle: T_c = 10 s, latency of light, load 1."""

    topology: str
    axis: str
    value: float

    def network(self) -> Network:
        """Four flows over a trunk, or ten over NSFNET, times the load."""
        load_factor = self.value if self.axis == "load" else 1.0
        if self.topology == "dumbbell":
            return dumbbell(round(4 * load_factor), "skf", access_km=(5.0, 10.0, 15.0, 20.0), trunk_km=20.0)
        return with_flows(nsfnet(), round(10 * load_factor), "neg", 1)

    def physics(self) -> Physics:
        """Of the cell."""
        return Physics(
            coherence_s=self.value if self.axis == "coherence_s" else 10.0,
            latency_factor=self.value if self.axis == "latency" else 1.0,
        )


def cells() -> list[Cell]:
    """All of them."""
    return [Cell(topology, axis, x) for topology in ("dumbbell", "nsfnet") for axis in AXES for x in AXES[axis]]


def policies() -> list[str]:
    """Variants of the network, and every registered allocator in an open loop."""
    return [*(name for name in VARIANTS if name != "open"), *(f"open:{name}" for name in ALLOCATORS)]


@cache
def best(network: Network, physics: Physics) -> tuple[float, float]:
    """U* of the ideal and of the decoherence-aware optimum."""
    ideal = optimum(network).utility
    if physics.coherence_s == math.inf:
        return ideal, ideal
    return ideal, optimum(with_latency(network, physics), physics.coherence_s).utility


@cache
def given(network: Network, allocator: str) -> Any:
    """What an allocator answers."""
    return load(allocator)(network)


def run_of(network: Network, physics: Physics, policy: str, seconds: float, seed: int, **more: Any) -> Run:
    """A run under a policy."""
    if policy.startswith("open:"):
        sent = given(network, policy.removeprefix("open:"))
        more = {"rates_hz": sent.rates_hz * (1.0 - ROOM), "werner": sent.werner, **more}
    return Run(network, physics, VARIANTS[policy.partition(":")[0]], seconds, seed, **more)


def figures(network: Network, physics: Physics, found: Summary) -> dict[str, float]:
    """Of one run."""
    ideal, aware = best(network, physics)
    return {
        "G": share_of(network, ideal, found.utility),
        "G_aware": share_of(network, aware, found.utility),
        "rate_hz": float(found.rates_hz.sum()),
        "fidelity": float(np.nanmean(found.fidelities)) if np.isfinite(found.fidelities).any() else math.nan,
        "mean_queue": float(found.mean_queue.max()),
        "max_queue": float(found.most_waiting.max()),
        "beyond_bound": float(max(0.0, (found.most_waiting - 5.0 * found.mean_queue - 50.0).max())),
        "worth_nothing": float((~np.isfinite(found.utilities)).sum()),
        "bytes": found.overhead_byte,
    }


def around(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval, over seeds."""
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values)), float(half)


def play_cells(seconds: float) -> None:
    """Every policy in every cell."""
    columns = ["topology", "axis", "value", "policy", "num_seeds", "seconds", "best_aware"]
    columns += [name + end for name in FIGURES for end in ("", "_pm")]
    told = f"{SEEDS[0]} to {SEEDS[-1]}; second half of {seconds:g} s, of {seconds * LASTS['nsfnet']:g} s on NSFNET"
    with results("qnum_packet_cells", columns, seeds=told, packages=PACKAGES) as table:
        for cell, policy, (network, physics) in tried():
            lasts_s = seconds * LASTS[cell.topology]
            begun_s = time.process_time()
            found = played(network, physics, policy, lasts_s)
            ideal, aware = best(network, physics)
            values = [share_of(network, ideal, aware), *(value for name in FIGURES for value in found[name])]
            row = [cell.topology, cell.axis, cell.value, policy, len(SEEDS), lasts_s]
            table.writerow([*row, *(f"{value:.5g}" for value in values)])
            spent_s = time.process_time() - begun_s
            print(f"{cell} {policy}: G_aware {found['G_aware'][0]:.3f} ({spent_s:.1f} s)", flush=True)


@cache
def played(network: Network, physics: Physics, policy: str, seconds: float) -> dict[str, tuple[float, float]]:
    """Figures with their intervals; the middle of all axes is played once."""
    runs = [summary(play(run_of(network, physics, policy, seconds, seed)), seconds / 2) for seed in SEEDS]
    each = [figures(network, physics, found) for found in runs]
    return {name: around([one[name] for one in each]) for name in FIGURES}


def tried() -> Iterator[tuple[Cell, str, tuple[Network, Physics]]]:
    """Cells with policies that can be tried there."""
    for cell in cells():
        network, physics = cell.network(), cell.physics()
        for policy in policies():
            try:
                run_of(network, physics, policy, 1.0, 0)
            except CircuitError as error:
                print(f"{cell} {policy}: {error}", flush=True)
                continue
            yield cell, policy, (network, physics)


TROUBLE: dict[str, tuple[dict[str, float], tuple[Change, ...], set[int]]] = {
    "none": ({}, (), set()),
    "1 % of q-datagrams and ACKs lost": ({"datagram_loss": 0.01, "ack_loss": 0.01}, (), set()),
    "swaps fail in 5 %": ({"swap_success": 0.95}, (), set()),
    "storage for 20": ({"storage": 20}, (), set()),
    "flow 0 leaves": ({}, (Change(60.0, "leave", 0),), {0}),
    "flow 0 joins": ({}, (Change(60.0, "join", 0),), set()),
    "first link of flow 0 fails": ({}, (Change(60.0, "link_down", -1),), {0}),
    "it comes back after 30 s": ({}, (Change(30.0, "link_down", -1), Change(60.0, "link_up", -1)), set()),
    "the busiest link fails for 10 s": ({}, (Change(50.0, "link_down", -2), Change(60.0, "link_up", -2)), set()),
}
"""Physics, changes, and flows that get nothing after the last change; link -1 is the first one of flow 0, -2 the one
that most flows share."""


def play_trouble(seconds: float) -> None:
    """-DA and the others when things go wrong; time to come back to 0.9 of what is best then, losses allowed for.

    G_aware is against the optimum of a network that loses nothing.
    """
    columns = ["topology", "trouble", "policy", "num_seeds", "G_aware", "G_aware_pm", "settled_s", "worst_settled_s"]
    columns += ["lost_share", "lost_share_pm", "max_queue"]
    told = f"{SEEDS[0]} to {SEEDS[-1]}; from 60 s on, of {seconds:g} s"
    with results("qnum_packet_trouble", columns, seeds=told, packages=PACKAGES) as table:
        for topology in ("dumbbell", "nsfnet"):
            for trouble in TROUBLE:
                for policy in ("da", "da-approx", "pi", "aimd"):
                    row = troubled(topology, trouble, policy, seconds)
                    table.writerow([topology, trouble, policy, len(SEEDS), *(f"{value:.4g}" for value in row)])
                    print(topology, trouble, policy, *(f"{value:.3g}" for value in row), flush=True)


def troubled(topology: str, trouble: str, policy: str, seconds: float) -> list[float]:
    """G with its interval, median and worst time to settle, lost share with its interval, longest queue."""
    cell = Cell(topology, "load", 1.0)
    network = cell.network()
    changed, changes, gone = TROUBLE[trouble]
    physics = replace(cell.physics(), **changed)
    first = network.flows[0].route[0]
    named = {-1: first, -2: int(np.argmax(network.num_sharing))}
    changes = tuple(replace(one, who=named.get(one.who, one.who)) for one in changes)
    if any(one.what == "link_down" for one in changes) and gone:
        gone = {number for number, flow in enumerate(network.flows) if first in flow.route}
    flows = [number for number in range(network.num_flows) if number not in gone]
    left = without(network, gone)
    utility = best(left, replace(physics, datagram_loss=0.0, ack_loss=0.0, swap_success=1.0, storage=10))[1]
    kept = (left.hops - 1.0) * math.log(physics.swap_success) + left.hops * math.log1p(-physics.datagram_loss)
    reachable = utility + float(left.weights @ kept)
    shares, settled, lost, longest = [], [], [], []
    for seed in SEEDS:
        record = play(run_of(network, physics, policy, seconds, seed, changes=changes))
        found = summary(record, 0.5 * (60.0 + seconds))
        shares.append(share_of(left, utility, float(found.utilities[flows].sum())))
        settled.append(settled_s(record, 60.0 if changes else 0.0, seconds, reachable, flows))
        total, all_lost = found.rates_hz.sum() * 0.5 * (seconds - 60.0), sum(found.lost.values())
        lost.append(all_lost / max(1.0, total + all_lost))
        longest.append(found.most_waiting.max())
    return [*around(shares), float(np.median(settled)), max(settled), *around(lost), max(longest)]


def play_jackson(seconds: float) -> None:
    """Open loops at 0.8 and 0.9 of the optimum's rates, beside their prediction."""
    columns = ["topology", "room", "num_seeds", "num_delivered"]
    columns += [f"{name}_{what}" for name in ("rate", "werner", "latency") for what in ("error", "error_pm", "worst")]
    with results("qnum_packet_jackson", columns, seeds=f"{SEEDS[0]} to {SEEDS[-1]}", packages=PACKAGES) as table:
        for topology in ("dumbbell", "nsfnet"):
            network, physics = Cell(topology, "load", 1.0).network(), Physics(coherence_s=5.0)
            for room in (0.2, 0.1):
                sent = given(network, "optimum")
                rates_hz = sent.rates_hz * (1.0 - room)
                ends, late_s = open_loop(network, rates_hz, sent.werner, physics)
                runs = [
                    Run(network, physics, VARIANTS["open"], seconds, seed, 1.0, rates_hz, sent.werner) for seed in SEEDS
                ]
                found = [summary(play(run), 20.0) for run in runs]
                errors = []
                for name, said in (("rates_hz", rates_hz), ("werner", ends), ("latency_s", late_s)):
                    off = np.array([getattr(one, name) / said - 1.0 for one in found])
                    errors += [*around(off.mean(axis=1).tolist()), float(np.abs(off.mean(axis=0)).max())]
                num = sum(one.rates_hz.sum() for one in found) * (seconds - 20.0)
                table.writerow([topology, room, len(SEEDS), round(num), *(f"{value:.3g}" for value in errors)])
                print(topology, room, round(num), *(f"{value:.3g}" for value in errors), flush=True)


PARTS: dict[str, tuple[Callable[[float], None], float]] = {
    "jackson": (play_jackson, 6000.0),
    "trouble": (play_trouble, 120.0),
    "cells": (play_cells, 60.0),
}
"""What to play, and for how many simulated seconds."""


def main() -> None:
    """Play the parts that are asked for."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--part", default="all", choices=[*PARTS, "all"])
    words.add_argument("--seconds", type=float, help="simulated, instead of each part's own")
    said = words.parse_args()
    for name, (part, seconds) in PARTS.items():
        if said.part in (name, "all"):
            part(said.seconds or seconds)


if __name__ == "__main__":
    main()

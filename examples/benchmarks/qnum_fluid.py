"""How many iterations QPrimalDual takes to the optimum, for every network, set of gains, start and delay.

    python examples/benchmarks/qnum_fluid.py [--quick] [--large]

Gains were chosen on networks of seeds below 100 and from 3 200 on, and on the dumbbells of 2, 3, 4 and 8 pairs; those
here are others, with seeds from 2 000 on. Iterations are counted until the gap, of rates made feasible, is below 1e-3
or 1e-6 nats per unit of weight for good; empty where it never is. ``cpu_s`` is the processor's time of as many
iterations as 1e-6 took, run again without measuring. A delay counts the iterations that a message takes each way.
``--large`` adds networks of 1 000 nodes, 3 000 links and 2 000 flows. An interrupted run leaves what it has.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import typer
from evidence import results
from rich.console import Console
from rich.progress import track

from policies.allocators.optimum import optimum
from policies.allocators.qprimaldual.fluid import GAINS, Fluid, follow
from policies.envs.qnum import topologies
from policies.envs.qnum.network import Network

COLUMNS = "network links flows minimum gains variant w0 delay to_1e-3 to_1e-6 gap shortfall iterations cpu_s"
MOST = 4000


@dataclass(frozen=True)
class Cell:
    """One run."""

    network: Network
    gains: str = "scale_free"
    variant: str = "exact"
    w0: float = 0.967
    delay: int = 0


ON_NSFNET = (
    *((5, "neg", 0.0), (10, "skf", 0.0), (20, "de", 0.0), (40, "mixed", 0.0), (80, "mixed", 0.0)),
    *((10, "mixed", 0.9), (20, "skf", 0.9), (30, "mixed", 0.85)),
)
GEOMETRIC = (
    *((30, 20, "mixed", 0.0), (60, 100, "skf", 0.0), (100, 50, "neg", 0.0), (100, 200, "mixed", 0.0)),
    *((20, 15, "mixed", 0.92), (40, 30, "neg", 0.8), (60, 60, "mixed", 0.85)),
)
LARGE = (("skf", 0.0), ("neg", 0.0), ("mixed", 0.0), ("neg", 0.8), ("mixed", 0.9))
"""Nodes and flows where not given, utility, and minimum quality of every other flow."""


def networks() -> Iterator[Network]:
    """Dumbbells, NSFNET and random geometric networks, with and without minimum quality."""
    for utility in ("neg", "skf", "de", "logneg"):
        yield topologies.dumbbell(5, utility, access_km=(2.0, 12.0, 33.0))
    for seed, (flows, utility, w_min) in enumerate(ON_NSFNET, start=2000):
        yield topologies.with_flows(topologies.nsfnet(), flows, utility, seed, w_min=w_min, weights=(0.5, 2.0))
    for seed, (nodes, flows, utility, w_min) in enumerate(GEOMETRIC, start=2100):
        where = topologies.random_geometric(nodes, 2 * nodes, seed)
        yield topologies.with_flows(where, flows, utility, seed, w_min=w_min, weights=(0.5, 2.0))


def large() -> Iterator[Network]:
    """Of 1 000 nodes."""
    for seed, (utility, w_min) in enumerate(LARGE, start=2200):
        yield topologies.with_flows(topologies.random_geometric(1000, 3000, seed), 2000, utility, seed, w_min=w_min)


def cells(quick: bool, with_large: bool) -> list[Cell]:
    """All runs."""
    chosen = list(networks())[:: 6 if quick else 1]
    found = [Cell(network, w0=w0) for network in chosen for w0 in (0.9, 0.967, 0.99)]
    found += [Cell(network, delay=delay) for network in chosen for delay in (1, 5)]
    found += [Cell(network, gains) for network in chosen for gains in ("plain", "transcribed") if not quick]
    found += [Cell(network, variant="approx") for network in chosen]
    return found + ([Cell(network) for network in large()] if with_large else [])


def row(cell: Cell) -> list[object]:
    """One run, measured."""
    network = cell.network
    best = optimum(network).utility
    fluid = Fluid(network, GAINS[cell.gains], cell.delay, cell.variant)
    with np.errstate(all="ignore"):
        run = follow(fluid, best, w0=cell.w0, most=MOST, until=5e-4 if cell.delay > 1 else 1e-7)
        spent_s = cpu_s(fluid, cell.w0, run.iterations_to(1e-6))
    figures = [f"{run.gaps[-1]:.3g}", f"{run.shortfalls[-1]:.3g}", len(run.gaps), spent_s]
    minimum = max(flow.w_min for flow in network.flows)
    named = [network.name, network.num_links, network.num_flows, minimum]
    to = [run.iterations_to(1e-3), run.iterations_to(1e-6) if cell.delay < 2 else None]
    return [*named, cell.gains, cell.variant, cell.w0, cell.delay, *to, *figures]


def cpu_s(fluid: Fluid, w0: float, iterations: int | None) -> str:
    """Processor's time of so many iterations, nothing where there is no number."""
    if iterations is None:
        return ""
    begun_s = time.process_time()
    deque(islice(fluid.states(fluid.start(w0)), iterations), maxlen=0)
    return f"{time.process_time() - begun_s:.3f}"


def main(quick: bool = False, large: bool = False) -> None:
    """Run all cells and write them."""
    console = Console()
    seeds = "networks 2000 to 2007, 2100 to 2106, large 2200 to 2204"
    found = []
    with results("qnum_fluid" + "_quick" * quick, COLUMNS.split(), seeds=seeds, packages=("numpy", "scipy")) as file:
        for cell in track(cells(quick, large), "runs", console=console, disable=not sys.stdout.isatty()):
            found.append(row(cell))
            file.writerow(found[-1])
    for gains, variant, delay in dict.fromkeys((each[4], each[5], each[7]) for each in found):
        its = [each for each in found if (each[4], each[5], each[7]) == (gains, variant, delay)]
        for place, name in ((8, "1e-3"), (9, "1e-6")):
            reached = [each[place] for each in its if each[place] is not None]
            most = max(reached, default=None)
            console.print(
                f"{gains}, {variant}, delay {delay}: {len(reached)} of {len(its)} to {name}, at most in {most}"
            )


if __name__ == "__main__":
    typer.run(main)

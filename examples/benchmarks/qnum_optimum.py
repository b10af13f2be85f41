"""How long the central optimum takes and how well it is certified: sizes, utilities, minimum quality, memories.

    python examples/benchmarks/qnum_optimum.py [--quick]

Networks are random geometric ones with three links and two flows a node, and NSFNET. Each is solved three times; the
least wall and processor time are kept, since the machine is shared.
"""

from __future__ import annotations

import math
import sys
import time

import typer
from evidence import results
from rich.console import Console
from rich.progress import track

from policies.allocators.optimum import optimum
from policies.envs.qnum import topologies
from policies.envs.qnum.network import Network

COLUMNS = "network nodes links flows minimum coherence_s utility kkt_residual proven steps wall_s cpu_s"
SIZES = (30, 100, 300, 1000, 3000)


def networks(quick: bool) -> list[tuple[Network, float]]:
    """What is solved, with the coherence time of the memories."""
    found: list[tuple[Network, float]] = []
    for nodes in SIZES[: 2 if quick else None]:
        where = topologies.random_geometric(nodes, 3 * nodes, nodes)
        for utility, w_min in (("neg", 0.0), ("skf", 0.0), ("mixed", 0.0), ("mixed", 0.9)):
            network = topologies.with_flows(where, 2 * nodes, utility, nodes, w_min=w_min, weights=(0.5, 2.0))
            found.append((network, math.inf))
    for flows in (10, 40, 160):
        network = topologies.with_flows(topologies.nsfnet(), flows, "mixed", 3000 + flows)
        found += [(network, coherence_s) for coherence_s in (math.inf, 10.0, 1.0)]
    return found


def row(network: Network, coherence_s: float) -> list[object]:
    """One network, solved three times."""
    walls, cpus = [], []
    for _ in range(3):
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        best = optimum(network, coherence_s)
        walls.append(time.perf_counter() - wall_s)
        cpus.append(time.process_time() - cpu_s)
    sizes = [network.name, network.num_nodes, network.num_links, network.num_flows]
    minimum = max(flow.w_min for flow in network.flows)
    figures = [f"{best.utility:.9g}", f"{best.kkt_residual:.2g}", best.proven, best.num_steps]
    return [*sizes, minimum, coherence_s, *figures, f"{min(walls):.4f}", f"{min(cpus):.4f}"]


def main(quick: bool = False) -> None:
    """Solve, write, show."""
    console = Console()
    with results(
        "qnum_optimum" + "_quick" * quick,
        COLUMNS.split(),
        seeds="topology and flows by number of nodes; NSFNET 3000 + flows",
        packages=("numpy", "scipy"),
    ) as file:
        for network, coherence_s in track(
            networks(quick), "networks", console=console, disable=not sys.stdout.isatty()
        ):
            found = row(network, coherence_s)
            file.writerow(found)
            console.print(*found)


if __name__ == "__main__":
    typer.run(main)

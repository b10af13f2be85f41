"""Who gets how many entangled pairs, how good: sources and links agree by prices, and get what a planner would."""

from __future__ import annotations

import math
from pathlib import Path

from policies.allocators import load
from policies.allocators.optimum import optimum
from policies.allocators.qprimaldual.fluid import Fluid, follow
from policies.allocators.qprimaldual.pictures import draw_convergence
from policies.envs.qnum import problem, topologies

network = topologies.with_flows(topologies.nsfnet(), num_flows=20, utility="skf", seed=3)
best = optimum(network)
print(f"optimum {best.utility:.6f}, KKT residual {best.kkt_residual:.1e}\n")

print("allocator            utility   efficiency per flow")
for name in ("qprimaldual", "proportional_fair", "max_min_fair", "max_min_fair_fixed", "greedy"):
    found = load(name)(network)
    utility = problem.utility(network, found.rates_hz, found.werner)
    print(f"{name:20} {utility:7.3f}   {math.exp(-problem.gap(network, best.utility, utility)):.3f}")

curves = {f"messages take {delay} iterations": Fluid(network, delay=delay) for delay in (0, 1, 5)}
runs = {name: follow(fluid, best.utility, most=2000, until=1e-9) for name, fluid in curves.items()}
for name, run in runs.items():
    print(f"{name}: within 1e-3 after {run.iterations_to(1e-3)} iterations, 1e-6 after {run.iterations_to(1e-6)}")
draw_convergence({name: run.gaps for name, run in runs.items()}, Path("qprimaldual.png"))
print("drawn in qprimaldual.png")

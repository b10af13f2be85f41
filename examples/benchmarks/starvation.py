"""How long background jobs wait under a steady stream of urgent ones, against first come, first served.

    python examples/benchmarks/starvation.py [--quick]

One worker; jobs come at random (Poisson) and last 1 s to 20 s; nine in ten are urgent (priority 9), the others are
background (priority 0). The same arrivals are served by rank, as the store does (``orchestrator.placement.rank``), and
in order of submission; time is simulated. "extra" is by how much later a background job begins. The bound is the urgent
work that is submitted within 9 * 60 s after it, see ``PRIORITY_STEP_S``; "strict" is priority without ageing. "smith"
goes before its rank as far as policies that order may have it (``policies.order``): its bound is all the work that is
submitted within 10 * 60 s.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import defaultdict
from typing import Annotated

import numpy as np
import typer
from evidence import results

from orchestrator.placement import PRIORITY_STEP_S, rank
from policies.order import by_smith_s

LOADS = (0.5, 0.8, 0.95, 1.1)
"""Work that comes per second; beyond 1 the queue grows as long as the stream lasts."""

URGENT, BACKGROUND = 9, 0
WINDOW_S = (URGENT - BACKGROUND) * PRIORITY_STEP_S
MEAN_S = 10.5
COLUMNS = "load order jobs background extra_median_s extra_p95_s extra_max_s bound_max_s over_bound"


def begins(at_s: list[float], service_s: list[float], ranks: list[float]) -> list[float]:
    """When each job begins on a worker that serves the smallest rank of those that wait and interrupts none."""
    begun, now, following = [0.0] * len(at_s), 0.0, 0
    waiting: list[tuple[float, int]] = []
    while waiting or following < len(at_s):
        if not waiting:
            now = max(now, at_s[following])
        while following < len(at_s) and at_s[following] <= now:
            heapq.heappush(waiting, (ranks[following], following))
            following += 1
        _, job = heapq.heappop(waiting)
        begun[job], now = now, now + service_s[job]
    return begun


def main(quick: Annotated[bool, typer.Option("--quick", help="Fewer jobs and seeds.")] = False) -> None:
    """Measure by how much priorities delay background jobs."""
    num, seeds = (2_000, 2) if quick else (20_000, 10)
    with results("starvation", COLUMNS.split(), seeds=f"0 to {seeds - 1}", packages=("numpy",)) as table:
        for load in LOADS:
            extra = defaultdict[str, list[float]](list)
            bounds = defaultdict[str, list[float]](list)
            for seed in range(seeds):
                rng = np.random.default_rng(seed)
                at_s = rng.exponential(MEAN_S / load, num).cumsum().tolist()
                service_s = rng.uniform(1.0, 2.0 * MEAN_S - 1.0, num).tolist()
                priority = np.where(rng.random(num) < 0.9, URGENT, BACKGROUND).tolist()
                background = [job for job in range(num) if priority[job] == BACKGROUND]
                urgent_s = np.where(np.array(priority) == URGENT, service_s, 0.0)
                fair = begins(at_s, service_s, [float(job) for job in range(num)])
                each = zip(at_s, priority, strict=True)
                aged = [rank(submitted_at=at, priority=level, deadline_at=None) for at, level in each]
                orders = {
                    "rank": (aged, urgent_s, WINDOW_S),
                    "strict": ([float(-level) for level in priority], urgent_s, WINDOW_S),
                    "smith": (
                        [one - by_smith_s(1.0, p) for one, p in zip(aged, service_s, strict=True)],
                        np.array(service_s),
                        WINDOW_S + PRIORITY_STEP_S,
                    ),
                }
                for order, (ranks, before_s, window_s) in orders.items():
                    work = np.concatenate([[0.0], before_s.cumsum()])
                    begun = begins(at_s, service_s, ranks)
                    for job in background:
                        extra[order].append(begun[job] - fair[job])
                        bounds[order].append(float(work[bisect_right(at_s, at_s[job] + window_s)] - work[job + 1]))
            for order, seconds in extra.items():
                median, high = np.quantile(seconds, [0.5, 0.95])
                over = sum(one > bound + 1e-6 for one, bound in zip(seconds, bounds[order], strict=True))
                figures = [f"{one:.1f}" for one in (median, high, max(seconds), max(bounds[order]))]
                table.writerow([load, order, num * seeds, len(seconds), *figures, over])
                print(f"load {load:4} {order:6} extra median, p95, max, bound: {', '.join(figures)} s; over: {over}")


if __name__ == "__main__":
    typer.run(main)

"""What one step of training a variational circuit costs: batched torch against PennyLane, in two ways.

    python examples/benchmarks/meqc_vqc_speed.py

Four qubits, two BasicEntangler layers; forward and backward, gradients of inputs and weights. PennyLane on
``default.qubit`` with back-propagation: a batch broadcast through one call, and one call a sample (in batches of 128
alone). In turns, on one thread; median and the 2.5 and 97.5 percentiles of processor time. ``difference``: the largest
one of values and gradients between ours and the broadcast call, both in double precision; times are of single
precision for ours and of PennyLane's own for its.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from evidence import results
from rich.progress import track

from policies.learners.kit.vqc import expectations
from policies.learners.kit.vqc_reference import circuit

SEED = 1
NUM_ROUNDS = 25
NUM_LOOPS = 5
"""Rounds in which samples go one by one: each takes seconds."""


def main() -> None:
    """Measure, write, print."""
    torch.set_num_threads(1)
    columns = ["batch", "way", "rounds", "median_ms", "low_ms", "high_ms", "times_ours", "difference"]
    with results("meqc_vqc_speed", columns, seeds=str(SEED), packages=("torch", "pennylane", "numpy")) as table:
        for batch in (128, 4096):
            taken, difference = measured(batch)
            ours = float(np.median(taken["torch"]))
            for way, times_ms in taken.items():
                median, low, high = np.percentile(times_ms, [50.0, 2.5, 97.5])
                far = "" if way == "torch" else f"{difference:.1e}"
                figures = (f"{median:.3f}", f"{low:.3f}", f"{high:.3f}", f"{median / ours:.1f}")
                table.writerow([batch, way, len(times_ms), *figures, far])
                print(f"batch {batch}, {way}: {median:.2f} ms, {median / ours:.1f} times ours", flush=True)


def measured(batch: int) -> tuple[dict[str, list[float]], float]:
    """Milliseconds of each way, round by round, and how far ours is from the broadcast call."""
    chance, node = torch.Generator().manual_seed(SEED), circuit()
    angles = torch.randn(batch, 4, generator=chance).requires_grad_()
    weights = torch.randn(2, 4, generator=chance).requires_grad_()

    def ours(inputs: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return expectations(inputs[None], w[None])[0]

    def one_by_one(inputs: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.stack([node(each, w) for each in inputs])

    ways = {"torch": ours, "pennylane broadcast": node, "pennylane one by one": one_by_one}
    taken: dict[str, list[float]] = {way: [] for way in ways if batch <= 128 or way != "pennylane one by one"}
    for number in track(range(NUM_ROUNDS + 1), f"batch {batch}", transient=True, disable=not sys.stdout.isatty()):
        for way, times_ms in taken.items():
            if way != "pennylane one by one" or number <= NUM_LOOPS:
                times_ms.append(step_ms(ways[way], angles, weights))
    double = [each.detach().double().requires_grad_() for each in (angles, weights)]
    found = [(value, *torch.autograd.grad(value.sum(), double)) for value in (ours(*double), node(*double))]
    difference = max(float((one - other).detach().abs().max()) for one, other in zip(*found, strict=True))
    return {way: times_ms[1:] for way, times_ms in taken.items()}, difference


def step_ms(way: Callable[..., torch.Tensor], angles: torch.Tensor, weights: torch.Tensor) -> float:
    """Processor time of a forward and a backward pass."""
    began = time.process_time()
    torch.autograd.grad(way(angles, weights).sum(), (angles, weights))
    return 1e3 * (time.process_time() - began)


if __name__ == "__main__":
    main()

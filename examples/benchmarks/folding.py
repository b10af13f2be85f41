"""What it costs to learn from one more result, and how large the model is, as the log grows.

    python examples/benchmarks/folding.py        # two minutes; --most 10000 is quicker

A log of made-up results over twenty backends and six groups, every other one of a program that was never seen. At each
length: CPU microseconds of one fold (median, 5 % and 95 % of 300), of one estimate, bytes of the snapshot and
milliseconds to read it, and whether the model that goes on from a snapshot is the one that folded everything. Writes
``results/folding.csv``.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from evidence import results
from rich.console import Console
from rich.table import Table

import backends
from backends.backend import Device
from orchestrator.cost_model.model import CostModel
from orchestrator.job import Estimate, Measurement
from orchestrator.telemetry import Observation

NUM_BACKENDS, GROUPS, SEED, NUM_TIMED = 20, ("program", "steane", "autoencoder", "raytracing", "qft", "vqe"), 7, 300
DEVICE = "aer_statevector"
COLUMNS = (
    "log",
    "fold_us",
    "fold_us_5",
    "fold_us_95",
    "estimate_us",
    "snapshot_bytes",
    "read_ms",
    "same_after_snapshot",
)


def made_up(number: int, generator: np.random.Generator) -> Observation:
    """One result: times around a known factor, a fidelity on half of the backends."""
    backend, group = int(generator.integers(NUM_BACKENDS)), GROUPS[int(generator.integers(len(GROUPS)))]
    program = str(number) if generator.random() < 0.5 else str(int(generator.integers(max(1, number))))
    prior = Estimate(float(np.exp(generator.normal(-4.0, 2.0))), 0.9 if backend % 2 else 1.0, 1.0, 0.0)
    took_s = prior.service_s * float(np.exp(generator.normal(0.5, 0.3)))
    fidelity = float(np.exp(-abs(generator.normal(0.0, 0.1)))) if backend % 2 else None
    met = Measurement(0.0, 0.0, took_s, took_s, took_s, fidelity, "hellinger", None, None, took_s, 0.0)
    return Observation("a", "j", f"backend_{backend}", "v", group, program, 5, 9, 100, prior, prior, 0.0, met, 0.0)


def cpu_us(work: Callable[[], object]) -> float:
    """CPU microseconds of one call."""
    begun = time.process_time_ns()
    work()
    return (time.process_time_ns() - begun) / 1e3


def said(model: CostModel, one: Observation, device: Device) -> Estimate:
    """What the model says of it, with a device of that kind."""
    return model.estimate(one.prior, device, one.group, one.program_hash)


def main() -> None:
    """Fold, and stop at each length to look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=100_000, help="length of the log")
    most = parser.parse_args().most
    generator, device, model = np.random.default_rng(SEED), backends.load(DEVICE).device(), CostModel()
    made = Table(*COLUMNS)
    with results("folding", COLUMNS, seeds=str(SEED), folder=Path(__file__).parent / "results") as table:
        for length in (int(10**power) for power in np.arange(2.0, math.log10(most) + 0.01, 0.5)):
            log = [(number, made_up(number, generator)) for number in range(model.cursor + 1, length + 1)]
            kept = CostModel.from_json(model.to_json()).fold(log)
            model = model.fold(log)
            text, same = model.to_json(), kept == model and kept.to_json() == model.to_json()
            fresh = [made_up(length + number, generator) for number in range(NUM_TIMED)]
            folds = [cpu_us(partial(model.fold, [(length + 1, one)])) for one in fresh]
            estimates = [cpu_us(partial(said, model, one, device)) for one in fresh]
            read_us = cpu_us(partial(CostModel.from_json, text))
            low, middle, high = np.percentile(folds, [5, 50, 95])
            row = (length, middle, low, high, float(np.median(estimates)), len(text), read_us / 1e3, same)
            words = [f"{each:.4g}" if isinstance(each, float) else str(each) for each in row]
            table.writerow(words)
            made.add_row(*words)
            print(*words, flush=True)
    Console().print(made)


if __name__ == "__main__":
    main()

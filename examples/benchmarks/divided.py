"""One batch between two backends, such as the classical algorithm and a QPU, on real workers: what each division costs.

    python examples/benchmarks/divided.py --seeds 1 2 3 4 5 [--learned runs/divided_twin/Measured-v2-1]

A frame of rays and batches of autoencoder samples go to two sides, with the share phi of their items on the second:
none, a quarter, half, all, and as policy ``split`` chooses, or a checkpoint that learned to divide in the twin
(``divided_twin.py``). The first side is the classical algorithm, or a simulator
that is about twice as fast as the second. Each program runs three times on each side before, so that its estimates are
learned. Cost is the default objective's; latency is from submission to the merged result.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

from evidence import results

from circuits.autoencoder import AutoencoderBatch
from circuits.raytracing import RayTracing
from orchestrator import Client, Objective, Result
from orchestrator.placement import CLASSICAL, Scales, cost
from orchestrator.settings import Settings
from policies.shelf import put

BATCHES: dict[str, tuple[Any, str, str, int]] = {
    "frame 16x16": (RayTracing(width=16, height=16, num_primitives=8), CLASSICAL, "sparse", 1),
    "64 digits": (AutoencoderBatch(num_samples=64, states="digits"), CLASSICAL, "aer_statevector", 1024),
    "16 digits": (AutoencoderBatch(num_samples=16, states="digits"), CLASSICAL, "fake_guadalupe", 256),
    "160 digits": (AutoencoderBatch(num_samples=160, states="digits"), "aer_statevector", "aer_density_matrix", 1024),
}
OBJECTIVES = {"default": Objective(), "time": Objective(latency=1.0, fidelity=0.0, price=0.0)}
PHIS = (0.0, 0.25, 0.5, 1.0)
LEARNING = 3
TIMEOUT_S = 300.0
COLUMNS = ("batch", "first", "second", "way", "seed", "phi", "latency_s", "service_s", "fidelity", "energy_j", "cost")


def pin_of(phi: float, first: str, second: str) -> dict[str, float]:
    """Who does how much."""
    return {name: share for name, share in ((first, 1.0 - phi), (second, phi)) if share}


def row(batch: str, way: str, seed: int, found: Result) -> tuple[Any, ...]:
    """What a run came to."""
    family, first, second, _ = BATCHES[batch]
    there = [range(*share.items) for share in found.placement.shares if share.backend == second and share.items]
    got = found.measurement
    spent = {"latency_s": got.latency_s, "energy_j": got.energy_j, "cost_usd": got.cost_usd}
    paid = cost(Objective(), Scales(), fidelity=got.fidelity or 0.0, **spent)
    figures = (got.latency_s, got.service_s, got.fidelity, got.energy_j, paid)
    return batch, first, second, way, seed, sum(map(len, there)) / family.num_items, *figures


def played(client: Client, batch: str, seeds: list[int], policies: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    """Every division of one batch: by hand, and as policies choose."""
    family, first, second, shots = BATCHES[batch]
    for number in range(LEARNING):
        for phi in (0.0, 1.0, 0.5):
            client.submit(family, shots=shots, seed=1000 + number, pin=pin_of(phi, first, second)).result(TIMEOUT_S)
    for seed in seeds:
        for phi in PHIS:
            job = client.submit(family, shots=shots, seed=seed, pin=pin_of(phi, first, second))
            yield row(batch, f"phi {phi:g}", seed, job.result(TIMEOUT_S))
        for policy, (name, objective) in product(policies, OBJECTIVES.items()):
            both = {"allow": [first, second], "max_parts": 2, "policy": policy, "objective": objective}
            job = client.submit(family, shots=shots, seed=seed, **both)
            yield row(batch, f"{policy.partition(':')[0]} {name}", seed, job.result(TIMEOUT_S))


def main() -> None:
    """Write ``results/divided.csv``, and print means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--learned", type=Path, help="folder of a checkpoint that learned to divide")
    asked = parser.parse_args()
    backends = tuple(sorted({name for _, *pair, _ in BATCHES.values() for name in pair}))
    found: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), backends=backends, slots=2, checkpoints=Path(folder) / "shelf")
        os.environ["QORCH_CHECKPOINTS"] = str(settings.shelf)  # whoever decides reads it, too
        policies = ("split", *([put(asked.learned, settings.shelf).name] if asked.learned else []))
        with (
            Client(settings=settings) as client,
            results("divided", COLUMNS, seeds=" ".join(map(str, asked.seeds))) as table,
        ):
            for batch in BATCHES:
                for one in played(client, batch, asked.seeds, policies):
                    table.writerow(one)
                    found.setdefault((batch, one[3]), []).append(one)
                    print(".", end="", flush=True)
    print(f"\n{'batch':14}{'way':16}{'phi':>6}{'latency s':>11}{'fidelity':>10}{'energy J':>10}{'cost':>8}")
    for (batch, way), rows in found.items():
        phi, latency_s, _, fidelity, energy_j, paid = (mean(column) for column in list(zip(*rows, strict=True))[5:])
        print(f"{batch:14}{way:16}{phi:6.2f}{latency_s:11.3f}{fidelity:10.4f}{energy_j:10.3f}{paid:8.3f}")


if __name__ == "__main__":
    main()

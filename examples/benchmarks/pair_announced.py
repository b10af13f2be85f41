"""What announcing a job pays that comes after another: its wait, its pairs and its cost, told and not told of before.

Two QPUs at the ends of a trunk. A job that needs 500 pairs comes after one that needs none, and which ends so many
seconds after it was placed: the allocator puts pairs aside meanwhile, as many as the job's objective makes worth it.
Its cost is that of latency and fidelity alone, by its own weights. Without announcements nothing else is different.
Intervals are over seeds, by bootstrap of the means.

    python examples/benchmarks/pair_announced.py --seeds 1 2 3 4 5 6 7 8
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from evidence import results
from pair_batches import bench, spec

from orchestrator import pipeline
from orchestrator.job import Measurement, Objective
from orchestrator.sql.store import SqlStore
from workers.sandbox import Sandbox

ENDS_AFTER_S = (0.5, 2.0, 8.0)
FIDELITY = (0.0, 1.0, 10.0)
COLUMNS = (
    *("weight_of_fidelity", "parent_ends_after_s", "announced", "stored_mean", "quoted_p50_s", "waited_s"),
    *("pair_fidelity", "job_fidelity", "cost", "cost_low", "cost_high"),
)


def met(
    folder: Path, sandbox: Sandbox, weight: float, ends_after_s: float, seed: int
) -> tuple[int, float, Measurement]:
    """Pairs that were there, quoted median wait, and what was measured of the second job."""
    with bench(folder, sandbox, "static", live=True, most=250) as (store, placing, device):
        parent = replace(spec(qubits=4), seed=seed)
        (first,) = placing.submit([parent])
        (then,) = placing.submit([replace(spec(), seed=seed, after=(first.id,), objective=Objective(fidelity=weight))])
        while placing.place():
            pass
        with later(ends_after_s):
            for _ in range(2):
                if not placing.execute({device.name: device}):
                    raise RuntimeError("nothing waits to be run")
                while placing.place():
                    pass
            (part,), result = store.assignments(then.id), store.results([then.id])[then.id]
    (promise,) = part.prior.pairs
    return promise.quote.stored, promise.quote.ready_p50_s, result.measurement


@contextmanager
def later(seconds: float) -> Iterator[None]:
    """Inside, the store's clock is so many seconds ahead."""
    now = SqlStore.now
    SqlStore.now = lambda store: now(store) + seconds  # type: ignore[method-assign]
    try:
        yield
    finally:
        SqlStore.now = now  # type: ignore[method-assign]


def cost(weight: float, found: Measurement) -> float:
    """Of waiting, running and infidelity, by the scales of the settings."""
    assert found.queue_s is not None
    assert found.device_s is not None
    assert found.fidelity is not None
    return found.queue_s + found.device_s + weight * (1.0 - found.fidelity) / 0.1


def main() -> None:
    """Play all cells, both ways with the same seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 9)))
    asked = parser.parse_args()
    sandbox, usual = Sandbox(), pipeline.LOOKED_AHEAD
    rows = []
    with TemporaryDirectory() as folder:
        for weight in FIDELITY:
            for ends_after_s in ENDS_AFTER_S:
                for announced in (False, True):
                    pipeline.LOOKED_AHEAD = usual if announced else 0
                    place = Path(folder) / f"{weight}-{ends_after_s}-{announced}"
                    place.mkdir()
                    runs = [met(place / str(seed), sandbox, weight, ends_after_s, seed) for seed in asked.seeds]
                    costs = np.array([cost(weight, one) for *_, one in runs])
                    drawn = np.random.default_rng(1).choice(costs, (10_000, costs.size)).mean(axis=1)
                    each = [(n, p50_s, one.queue_s, one.pair_fidelity, one.fidelity) for n, p50_s, one in runs]
                    figures = np.array(each, dtype=float).mean(axis=0)
                    ends = np.quantile(drawn, (0.025, 0.975))
                    told = [f"{one:.4g}" for one in (*figures, costs.mean(), *ends)]
                    rows.append([weight, ends_after_s, announced, *told])
                    print(*rows[-1])
    pipeline.LOOKED_AHEAD = usual
    sandbox.close()
    with results("pair_announced", COLUMNS, seeds=" ".join(map(str, asked.seeds))) as write:
        write.writerows(rows)


if __name__ == "__main__":
    main()

"""What a quote for each job costs placement: jobs that need pairs, submitted together, by how they are decided.

Two QPUs at the ends of a trunk, and so many jobs of which each needs 500 pairs between them. With what links publish
all are decided at once; with live quotes each is quoted when those before it have their pairs, within one batch; with
a batch for each job (``placement_batch=1``) the store is read and written each time. The program is prepared
beforehand, nothing runs, and times are those of this process on the processor.

    python examples/benchmarks/pair_batches.py --jobs 1 10 50 200 --rounds 5
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, cast

from evidence import results
from qiskit import QuantumCircuit

from backends.backend import Device
from backends.distributed import Distributed
from circuits.program import Program
from orchestrator.job import JobSpec, Times
from orchestrator.pipeline import Pipeline
from orchestrator.records import to_json
from orchestrator.settings import Settings
from orchestrator.sql.store import SqlStore
from orchestrator.store import Announcement
from policies import load as policy
from policies.allocators.pairs import live as served
from policies.allocators.pairs import load
from policies.allocators.pairs.provision import provision
from policies.envs.qnum import topologies
from workers.local_bus import LocalBus
from workers.sandbox import Sandbox

SHOTS = 500
MODES = {"published": (False, 250), "live": (True, 250), "live, a batch each": (True, 1)}
"""Whether an allocator is asked, and how many jobs a batch may have."""
COLUMNS = ("decided", "allocator", "num_jobs", "ms_per_job_median", "ms_per_job_low", "ms_per_job_high")


def spec(qubits: int = 6) -> JobSpec:
    """A program over both QPUs, or of four qubits on one."""
    circuit = QuantumCircuit(qubits)
    circuit.h(0)
    for qubit in range(qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return JobSpec(Program.from_any(circuit), shots=SHOTS)


@contextmanager
def bench(
    folder: Path, sandbox: Sandbox, allocator: str, *, live: bool, most: int
) -> Iterator[tuple[SqlStore, Pipeline, Device]]:
    """A store of its own and who places in it batches of so many jobs, with quotes of that allocator if live."""
    network = topologies.dumbbell(2, "neg", access_km=(0.5,), trunk_km=0.5)
    made = provision(cast(Any, load(allocator, network)), (4, 4), ("0", "2"), network if live else None)
    folder.mkdir()
    (folder / "network.json").write_text(to_json(made))
    os.environ["QORCH_QPU_NETWORK"] = str(folder / "network.json")
    settings = Settings(data_dir=folder, times=Times.EMULATED, placement_batch=most, placement_window_s=60.0)
    with ExitStack() as stack:
        store = SqlStore(settings.resolved_store_url, settings.rules)
        stack.callback(store.close)
        bus = LocalBus(folder)
        stack.callback(bus.close)
        pipeline = Pipeline(
            store=store,
            broker=bus,
            notifier=bus,
            runtime=sandbox,
            policies=policy,
            settings=settings,
            owner="desk/1",
            allocators=served,
        )
        stack.callback(pipeline.close)
        device = Distributed().device()
        store.announce("w", [Announcement(device.name, "w", 1, device)])
        yield store, pipeline, device


def placed_s(folder: Path, sandbox: Sandbox, allocator: str, mode: str, num_jobs: int) -> float:
    """Processor seconds until all of them are placed."""
    asked, most = MODES[mode]
    with bench(folder, sandbox, allocator, live=asked, most=most) as (store, pipeline, _):
        (first,) = pipeline.submit([spec()])
        while pipeline.place():
            pass
        pipeline.cancel(first.id)
        jobs = pipeline.submit([spec()] * num_jobs)
        begun = time.process_time()
        while pipeline.place():
            pass
        spent_s = time.process_time() - begun
        decided = [store.decision(job.id) for job in jobs]
    if any(one is None or asked != bool(one.request.candidates[0].prior.pairs) for one in decided):
        raise RuntimeError(f"{mode}: some jobs were not placed, or not by quotes as wanted")
    return spent_s


def main() -> None:
    """Play all modes and numbers in turns, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--allocators", nargs="+", default=["static", "local"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default="pair_batches")
    asked = parser.parse_args()
    cells = [(mode, name, number) for number in asked.jobs for name in asked.allocators for mode in MODES]
    found: dict[tuple[str, str, int], list[float]] = {cell: [] for cell in cells}
    sandbox = Sandbox()
    with TemporaryDirectory() as folder:
        for turn in range(asked.rounds):
            for place, (mode, name, number) in enumerate(cells):
                spent_s = placed_s(Path(folder) / f"{turn}-{place}", sandbox, name, mode, number)
                found[mode, name, number].append(1e3 * spent_s / number)
    sandbox.close()
    with results(asked.out, COLUMNS, seeds=f"none; {asked.rounds} rounds, low and high are their extremes") as write:
        for cell, times_ms in found.items():
            each = (median(times_ms), min(times_ms), max(times_ms))
            write.writerow([*cell, *(f"{one:.2f}" for one in each)])
            print(cell, *(f"{one:.2f}" for one in each))


if __name__ == "__main__":
    main()

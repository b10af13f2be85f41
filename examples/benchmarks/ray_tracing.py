"""Quantum ray tracing on the sparse simulator, beside Aer's state vector, its MPS and the classical tracer.

    python examples/benchmarks/ray_tracing.py

One thread, engines in turns, every picture compared pixel by pixel with the classical tracer. An engine that would take
minutes for a picture traces a tile of it, and one whose simulator cannot hold the circuit is left out. Times are of the
engine alone, after warm-up and a first picture; "job" is the whole job through the orchestrator with two slots, from
``submit_many`` of its tiles to the last result. Then what the circuits cost: gates as the simulator runs them, and
decomposed, beside the paper's depth formula, which is a model of resources and counts something else.

``--quick`` shows in a minute that it runs and writes nothing.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import typer
from evidence import RESULTS, results
from qiskit import transpile
from rich.console import Console
from rich.progress import track

from backends import load
from backends.backend import Backend, TranspileOptions
from circuits.raytracing import RayTracing
from circuits.raytracing.amplify import iteration, num_address
from circuits.raytracing.axial import AxialOracle
from circuits.raytracing.resource_model import paper_depth, paper_num_qubits
from circuits.raytracing.scene import random_scene
from circuits.raytracing.search import max_iterations

COLUMNS = (
    "part engine primitives grid_bits qubits picture shots wrong_pixels queries_per_ray expected_queries_per_ray "
    "classical_tests_per_ray circuits_per_ray ms_per_ray low high seeds"
)
RESOURCES = (
    "primitives qubits paper_qubits paper_depth iterations gates_per_iteration cx_per_iteration depth_per_iteration"
)
console = Console(width=None if sys.stdout.isatty() else 170)


@dataclass(frozen=True)
class Case:
    """One engine on one kind of picture."""

    part: str
    engine: str
    picture: RayTracing
    shots: int = 1
    seeds: int = 3


def cases() -> list[Case]:
    """What is measured, small before large."""
    found = []
    for bits in (3, 4, 5):
        whole = RayTracing(width=16, height=16, num_primitives=2**bits)
        tile = replace(whole, width=2 ** (6 - bits), height=2 ** (6 - bits), x0=4, y0=4)
        small = tile if bits == 3 else replace(tile, width=2, height=2)  # few rays of a small scene need a circuit
        found += [Case("16 x 16", "sparse", whole, seeds=5), Case("16 x 16", "cpu", whole, seeds=5)]
        found += [Case("16 x 16", "aer_statevector", tile, shots=16, seeds=1)]
        found += [Case("16 x 16", "aer_mps", small, shots=16, seeds=1)]
    wide = RayTracing(width=8, height=8, x0=20, y0=20, num_primitives=512, grid_bits=6)
    found += [Case("26 qubits", "sparse", wide), Case("26 qubits", "cpu", wide)]
    seen = RayTracing(width=16, height=16, camera="perspective", light_x=-2, light_y=-3, light_z=-4)
    found += [Case("perspective, shadows", "sparse", seen), Case("perspective, shadows", "cpu", seen)]
    large = RayTracing(width=128, height=128, num_primitives=64, grid_bits=7)
    return [*found, Case("128 x 128", "sparse", large, seeds=2), Case("128 x 128", "cpu", large, seeds=2)]


def traced(picture: RayTracing, engine: Backend, shots: int, seed: int) -> tuple[dict[str, Any], float]:
    """One picture: its figures, and the engine's seconds."""
    if engine.device().kind == "cpu":
        fresh, begun = replace(picture), time.perf_counter()  # a fresh one has traced nothing yet
        return fresh.solve().value, time.perf_counter() - begun
    prepared = engine.prepare(picture.circuits(), TranspileOptions())
    loop, run_s, answer, seeds = picture.rounds(shots, seed), 0.0, None, count(1_000 * seed)
    while True:
        try:
            turn = next(loop) if answer is None else loop.send(answer)
        except StopIteration as stopped:
            return stopped.value.value, run_s
        execution = engine.run(prepared, turn.runs, seed=next(seeds))
        answer, run_s = execution.counts, run_s + execution.run_s


def measured(case: Case) -> list[Any]:
    """A row: medians over scenes."""
    engine = load(case.engine)
    engine.warm_up()
    rays, figures, times = case.picture.width * case.picture.height, [], []
    if case.engine == "sparse":
        traced(replace(case.picture, width=2, height=2), engine, case.shots, 0)
    for seed in range(1, case.seeds + 1):
        value, run_s = traced(replace(case.picture, scene_seed=seed), engine, case.shots, seed)
        figures.append(value)
        times.append(1e3 * run_s / rays)
    asked = [
        sum(value.get(name, 0) for value in figures) / rays / len(figures)
        for name in ("num_queries", "expected_queries", "num_circuits")
    ]
    picture = case.picture
    return [
        case.part, case.engine, picture.num_primitives, picture.grid_bits, picture.circuits()[0].num_qubits,
        f"{picture.width}x{picture.height}", case.shots, sum(value["num_wrong_pixels"] for value in figures),
        *(f"{each:.4g}" for each in asked[:2]), picture.num_primitives, f"{asked[2]:.4g}",
        *(f"{each:.4g}" for each in (median(times), min(times), max(times))), f"scenes 1-{case.seeds}",
    ]  # fmt: skip


def through_the_orchestrator(picture: RayTracing, tiles: int) -> list[Any]:
    """The whole picture as one batch of tiles, on two slots."""
    from orchestrator import Client
    from orchestrator.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), backends=("sparse",), slots=2)
        with Client(settings=settings) as client:
            client.submit(replace(picture, width=2, height=2), shots=1).result(120.0)
            begun = time.perf_counter()
            done = client.map(picture.tiles(tiles), shots=1, timeout=600.0)
            values = [result.outcome["value"] for result in done]
            wall_s = time.perf_counter() - begun
    rays = picture.width * picture.height
    asked = [
        sum(value[name] for value in values) / rays for name in ("num_queries", "expected_queries", "num_circuits")
    ]
    return [
        "job", "sparse", picture.num_primitives, picture.grid_bits, picture.circuits()[0].num_qubits,
        f"{picture.width}x{picture.height}", 1, sum(value["num_wrong_pixels"] for value in values),
        *(f"{each:.4g}" for each in asked[:2]), picture.num_primitives, f"{asked[2]:.4g}",
        f"{1e3 * wall_s / rays:.4g}", "", "", f"scene {picture.scene_seed}; {wall_s:.1f} s in all",
    ]  # fmt: skip


def resources(bits: int) -> list[Any]:
    """Gates of one Grover iteration on a grid of 6 bits, as run and decomposed."""
    oracle = AxialOracle(random_scene(2**bits, 6, 1), 6)
    native = iteration(oracle)
    flat = transpile(native, basis_gates=["cx", "u"], optimization_level=1, seed_transpiler=7)
    return [
        2**bits, native.num_qubits, paper_num_qubits(num_address(oracle)), paper_depth(bits), max_iterations(2**bits),
        native.size(), flat.count_ops()["cx"], flat.depth(),
    ]  # fmt: skip


def main(quick: bool = False, deepest: int = 7) -> None:
    """Measure, write, show."""
    chosen = [replace(case, seeds=1) for case in cases()[:2]] if quick else cases()
    rows = [measured(case) for case in track(chosen, "pictures", console=console, disable=not sys.stdout.isatty())]
    if not quick:
        rows.append(through_the_orchestrator(RayTracing(width=128, height=128, num_primitives=64, grid_bits=7), 8))
    spent = [resources(bits) for bits in range(3, 4 if quick else deepest + 1)]
    _show(COLUMNS.split(), rows)
    _show(RESOURCES.split(), spent)
    if not quick:
        with results("ray_tracing", COLUMNS.split(), seeds="scenes as listed") as table:
            table.writerows(rows)
        with results("ray_tracing_resources", RESOURCES.split(), seeds="scene 1, transpiler 7") as table:
            table.writerows(spent)
        console.print(f"rows in {RESULTS}")


def _show(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    from rich.table import Table

    table = Table(*(column.replace("_", " ") for column in columns))
    for row in rows:
        table.add_row(*(str(each) for each in row))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)

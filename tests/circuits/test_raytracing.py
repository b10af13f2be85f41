"""Ray tracing: the oracle marks exactly the hits, search stops rightly, and images equal the classical tracer's."""

import random
from collections.abc import Callable, Generator, Sequence

import pytest
from qiskit import QuantumCircuit, transpile
from qiskit_aer import AerSimulator

from circuits.family import Counts, Outcome, Round, Run
from circuits.fidelity import ideal_distribution
from circuits.raytracing import RayTracing
from circuits.raytracing.oracle import grover_circuit, num_qubits, ray_parameters
from circuits.raytracing.resource_model import paper_depth, paper_num_qubits
from circuits.raytracing.scene import random_scene, trace
from circuits.raytracing.search import PixelSearch, success_probability


def bound(circuit: QuantumCircuit, values: dict[str, float]) -> QuantumCircuit:
    assigned: QuantumCircuit = circuit.assign_parameters({each: values[each.name] for each in circuit.parameters})
    return assigned


@pytest.mark.parametrize(("num_primitives", "grid_bits", "iterations"), [(4, 2, 1), (8, 2, 1), (8, 3, 2), (16, 2, 3)])
def test_success_probability_is_grovers(num_primitives: int, grid_bits: int, iterations: int) -> None:
    generator = random.Random(num_primitives + grid_bits)
    scene = random_scene(num_primitives, grid_bits, 5)
    circuit = grover_circuit(scene, grid_bits, iterations)
    for _ in range(4):
        x, y, far = (generator.randrange(2**grid_bits) for _ in range(3))
        exact = ideal_distribution(bound(circuit, ray_parameters(x, y, far, grid_bits)))
        assert exact is not None
        hits = [index for index, box in enumerate(scene) if box.hit(x, y, far)]
        success = sum(weight for bits, weight in exact.items() if int(bits, 2) in hits)
        assert success == pytest.approx(success_probability(len(hits), num_primitives, iterations), abs=1e-9)


def test_width_is_the_papers() -> None:
    assert RayTracing().build().num_qubits == num_qubits(8, 4) == 16
    assert num_qubits(512, 6) == paper_num_qubits(9) == 26


def test_paper_resource_model() -> None:
    # Its quoted ranges: 20 to 26 qubits, depth from 813; its last depth, 6560, is 6460 by its own formula.
    assert [paper_num_qubits(bits) for bits in range(3, 10)] == [20, 21, 22, 23, 24, 25, 26]
    assert [paper_depth(bits) for bits in range(3, 10)] == [813, 1149, 1623, 2292, 3237, 4573, 6460]


def finish(loop: Generator[Round, Sequence[Counts], Outcome], reply: Callable[[Run], Counts]) -> Outcome:
    try:
        turn = next(loop)
        while True:
            turn = loop.send([reply(run) for run in turn.runs])
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome


def drive(family: RayTracing, shots: int, seed: int) -> Outcome:
    simulator = AerSimulator(max_parallel_threads=1, fusion_enable=False, seed_simulator=3)
    circuits = [transpile(each, simulator, optimization_level=0) for each in family.circuits()]

    def reply(run: Run) -> Counts:
        circuit = bound(circuits[run.circuit], dict(run.parameters))
        counts: Counts = simulator.run(circuit, shots=run.shots).result().get_counts()
        return counts

    return finish(family.rounds(shots, seed), reply)


def test_a_tile_is_traced_without_a_wrong_pixel() -> None:
    family = RayTracing(width=3, height=2, x0=5, y0=6)
    outcome = drive(family, shots=16, seed=4)
    expected = [[trace(family.scene, x, y, 15) for x in range(5, 8)] for y in range(6, 8)]
    assert outcome.value["depth"] == expected
    assert outcome.score == 1.0
    assert outcome.value["num_circuits"] >= 6


def perfect_reply(family: RayTracing, run: Run, generator: random.Random) -> Counts:
    """One shot of a perfect device, drawn from sin^2."""
    x, y, far = (sum((run.parameters[f"{name}[{bit}]"] > 1) << bit for bit in range(4)) for name in ("x", "y", "far"))
    hits = [index for index, box in enumerate(family.scene) if box.hit(x, y, far)]
    misses = [index for index in range(8) if index not in hits]
    lucky = generator.random() < success_probability(len(hits), 8, run.circuit + 1)
    return {format(generator.choice(hits if lucky else misses), "03b"): 1}


def test_a_whole_image_by_the_search_alone() -> None:
    family, generator = RayTracing(width=16, height=16, delta=1e-3), random.Random(2)
    outcome = finish(family.rounds(1, 9), lambda run: perfect_reply(family, run, generator))
    assert outcome.score >= 255 / 256
    assert outcome.value["num_queries"] / 256 < 40


def test_the_same_seed_asks_the_same() -> None:
    family = RayTracing(width=4, height=4)
    assert next(family.rounds(16, 3)) == next(family.rounds(16, 3))


def test_a_wrong_answer_is_never_believed() -> None:
    scene = random_scene(8, 4, 0)
    search = PixelSearch(0, 0, 15, 8, 1e-3)
    missed = next(index for index, box in enumerate(scene) if not box.hit(0, 0, 15))
    while not search.done:
        search.update(scene, {missed: 16}, 1)
        search.update(scene, {missed: 16}, 2)
        search.update(scene, {missed: 4}, 0)
    assert search.best is None


@pytest.mark.parametrize("seed", range(6))
def test_the_reference_ray_can_be_judged(seed: int) -> None:
    family = RayTracing(scene_seed=seed)
    assert family.ideal_score > 0.5


def test_the_picture_fills_as_it_goes() -> None:
    family = RayTracing(width=3, height=2, x0=2, y0=4)
    generator = random.Random(4)
    left: list[int] = []
    loop = family.rounds(16, 5)
    try:
        turn = next(loop)
        while True:
            left.append(turn.partial["num_pixels_left"])
            assert [len(row) for row in turn.partial["depth"]] == [3, 3]
            turn = loop.send([perfect_reply(family, run, generator) for run in turn.runs])
    except StopIteration:
        assert left == sorted(left, reverse=True)
        assert left[-1] >= 1

"""Ray tracing: oracles mark exactly the hits, search stops rightly, and pictures equal the classical tracer's."""

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from backends.backend import TranspileOptions
from backends.sparse import Sparse
from circuits.errors import InvalidParameter
from circuits.family import Counts, Outcome, Round, Run
from circuits.fidelity import ideal_distribution
from circuits.raytracing import RayTracing
from circuits.raytracing.amplify import angles, grover_circuit, intersection_operator
from circuits.raytracing.axial import AxialOracle, num_qubits
from circuits.raytracing.camera import CAMERAS
from circuits.raytracing.frame import towards
from circuits.raytracing.resource_model import paper_depth, paper_num_qubits
from circuits.raytracing.scene import MISS, Box, Rays, depths, entry, random_scene, table, trace
from circuits.raytracing.search import (
    Searches,
    expected_existence_queries,
    expected_queries,
    max_iterations,
    num_queries,
    schedule,
    success_probability,
)
from circuits.raytracing.slanted import SlantedOracle

SPARSE = Sparse()


def bound(circuit: QuantumCircuit, values: dict[str, float]) -> QuantumCircuit:
    assigned: QuantumCircuit = circuit.assign_parameters({each: values[each.name] for each in circuit.parameters})
    return assigned


def rays(*pairs: tuple[tuple[int, int, int], tuple[int, int, int]]) -> Rays:
    return Rays(np.array([origin for origin, _ in pairs]), np.array([direction for _, direction in pairs]))


@pytest.mark.parametrize(("num_primitives", "grid_bits", "iterations"), [(4, 2, 1), (8, 2, 1), (8, 3, 2), (16, 2, 3)])
def test_success_probability_is_grovers(num_primitives: int, grid_bits: int, iterations: int) -> None:
    generator = random.Random(num_primitives + grid_bits)
    oracle = AxialOracle(random_scene(num_primitives, grid_bits, 5), grid_bits)
    circuit = grover_circuit(oracle, iterations)
    for _ in range(4):
        x, y, far = (generator.randrange(2**grid_bits) for _ in range(3))
        ray, limit = rays(((x, y, 0), (0, 0, 1))), np.array([far])
        exact = ideal_distribution(bound(circuit, angles(oracle, ray, limit)[0]))
        assert exact is not None
        found = depths(table(oracle.boxes), ray.origins, ray.directions)
        hits = np.flatnonzero((found != MISS) & (found <= far))
        success = sum(weight for bits, weight in exact.items() if int(bits, 2) in hits)
        assert success == pytest.approx(success_probability(len(hits), num_primitives, iterations), abs=1e-9)


def test_the_papers_operator_amplitude_by_amplitude() -> None:
    """R_r of eqs. (14) and (15): sum_p |p>|i_r(p)>/sqrt(P), with every work qubit back at 0."""
    oracle = AxialOracle(random_scene(4, 2, 3), 2)
    operator = intersection_operator(oracle)
    assert operator.num_qubits == num_qubits(4, 2) + 1
    for x, y, far in [(0, 0, 3), (1, 2, 3), (1, 2, 1), (3, 1, 2), (2, 1, 0)]:
        ray, limit = rays(((x, y, 0), (0, 0, 1))), np.array([far])
        state = Statevector(bound(operator, angles(oracle, ray, limit)[0])).data
        expected = np.zeros_like(state)
        found = depths(table(oracle.boxes), ray.origins, ray.directions)
        for primitive, depth in enumerate(found.tolist()):
            indication = depth != MISS and depth <= far
            expected[primitive + (indication << operator.num_qubits - 1)] = 0.5
        phase = state[np.argmax(np.abs(state))] / 0.5  # RX(pi) stands for X up to a phase
        assert np.allclose(state, expected * phase, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_slanted_oracle_marks_what_a_ray_meets(seed: int) -> None:
    """Its products and sums against fractions: every box of a scene at once, for many rays through one circuit."""
    generator = np.random.default_rng(seed)
    boxes = random_scene(8, 3, seed)
    oracle = SlantedOracle(boxes, 3, 3)
    measured = QuantumCircuit(oracle.test.num_qubits + 1, 4)
    measured.compose(intersection_operator(oracle), inplace=True)
    measured.measure([0, 1, 2, measured.num_qubits - 1], range(4))
    origins, directions = generator.integers(-8, 9, (60, 3)), generator.integers(0, 8, (60, 3))
    directions[:, 2] += 1 - directions[:, 2] // 7
    far = np.maximum(generator.integers(0, 8, 60), origins[:, 2])
    values = angles(oracle, Rays(origins, directions), far)
    counts = SPARSE.run([measured], [Run(200, 0, each) for each in values], seed=1).counts
    for answer, origin, direction, limit in zip(
        counts, origins.tolist(), directions.tolist(), far.tolist(), strict=True
    ):
        marked = {int(bits[1:], 2) for bits in answer if bits[0] == "1"}
        assert marked == {index for index, box in enumerate(boxes) if meets(box, origin, direction, limit)}


def meets(box: Box, origin: Sequence[int], direction: Sequence[int], far: int) -> bool:
    """Clip the ray's parameter by every slab, in fractions."""
    low, high = Fraction(0), Fraction(far - origin[2], direction[2])
    pairs = ((box.x_low, box.x_high), (box.y_low, box.y_high), (box.z_low, box.z_high))
    for (first, last), start, step in zip(pairs, origin, direction, strict=True):
        if step:
            low, high = max(low, Fraction(first - start, step)), min(high, Fraction(last - start, step))
        elif not first <= start <= last:
            return False
    return low <= high


@given(
    st.tuples(*[st.integers(0, 7)] * 6),
    st.tuples(st.integers(-8, 8), st.integers(-8, 8), st.integers(-8, 7)),
    st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(1, 7)),
)
def test_depth_is_the_first_that_the_oracle_would_accept(
    corners: tuple[int, ...], origin: tuple[int, int, int], direction: tuple[int, int, int]
) -> None:
    box = Box(*(end for pair in zip(corners[::2], corners[1::2], strict=True) for end in sorted(pair)))
    ray = rays((origin, direction))
    depth = int(depths(table([box]), ray.origins, ray.directions)[0])
    reachable = [far for far in range(8) if meets(box, origin, direction, far)]
    assert depth == (reachable[0] if reachable else MISS)
    if depth != MISS:
        points, axes = entry(table([box]), ray)
        assert np.all(points[0] >= np.array(origin))
        assert axes[0] in (0, 1, 2)


def test_width_is_the_papers() -> None:
    assert RayTracing().build().num_qubits == num_qubits(8, 4) == 16
    assert num_qubits(512, 6) == paper_num_qubits(9) == 26


def test_paper_resource_model() -> None:
    # Its quoted ranges: 20 to 26 qubits, depth from 813; its last depth, 6560, is 6460 by its own formula.
    assert [paper_num_qubits(bits) for bits in range(3, 10)] == [20, 21, 22, 23, 24, 25, 26]
    assert [paper_depth(bits) for bits in range(3, 10)] == [813, 1149, 1623, 2292, 3237, 4573, 6460]


@pytest.mark.parametrize("direction", [(0, 0, 1), (-1, 0, 0), (0, -1, 0), (2, -3, 1), (-7, 1, -4)])
def test_a_frame_and_back(direction: tuple[int, int, int]) -> None:
    frame = towards(direction, 15)
    points = np.array([(1, 5, 9), (0, 15, 3)])
    assert np.array_equal(frame.world_points(frame.points(points)), points)
    turned = frame.directions(np.array(direction))
    assert turned.min() >= 0
    assert turned[2] == max(map(abs, direction))
    (normal,) = frame.world_normals(np.array([2]))
    assert normal @ np.array(direction) < 0  # a face that the ray enters through looks back at it


@given(st.sampled_from([4, 8, 16, 64, 512]), st.sampled_from([1e-2, 1e-3, 1e-6]), st.sampled_from([1, 4, 16]))
def test_a_schedule_without_a_hit_is_a_proof(num_items: int, delta: float, shots: int) -> None:
    steps = schedule(num_items, delta, shots)
    assert max(steps) <= max_iterations(num_items)
    chances = [
        np.prod([(1 - success_probability(hits, num_items, step)) ** shots for step in steps])
        for hits in range(1, num_items + 1)
    ]
    assert max(chances) < delta
    before = [
        np.prod([(1 - success_probability(hits, num_items, step)) ** shots for step in steps[:-1]])
        for hits in range(1, num_items + 1)
    ]
    assert max(before) >= delta  # and none of it is superfluous


@pytest.mark.parametrize("shots", [1, 4])
def test_expected_queries_are_those_of_many_searches(shots: int) -> None:
    """The Markov chain against the search itself, run with a perfect device's chances: within five standard errors."""
    groups, num_items, delta = (1, 2, 1), 8, 1e-3
    depth_of = np.array([3, 5, 5, 9, MISS, MISS, MISS, MISS])
    generator = np.random.default_rng(5)
    found = []
    for _ in range(1_000):
        search = Searches(np.array([15]), np.array([0]), schedule(num_items, delta, shots))
        while not search.done[0]:
            live, iterations = search.due()
            good = np.flatnonzero((depth_of != MISS) & (depth_of <= search.far[0]))
            bad = np.setdiff1d(np.arange(num_items), good)
            chance = success_probability(len(good), num_items, int(iterations[0]))
            lucky = generator.random(shots) < chance
            items = np.array([generator.choice(good if each and len(good) else bad) for each in lucky])
            search.update(live, iterations, shots, (np.zeros(shots, dtype=int), items, depth_of[items]))
        assert search.depth[0] in (3, 5, 9, MISS)
        found.append(search.num_queries)
    expected = expected_queries(groups, False, num_items, delta, shots)
    assert np.mean(found) == pytest.approx(expected, abs=5 * np.std(found) / len(found) ** 0.5)


def test_nothing_there_costs_the_whole_schedule() -> None:
    cost = 4 * sum(map(num_queries, schedule(16, 1e-3, 4)))
    assert expected_queries((), False, 16, 1e-3, 4) == expected_existence_queries(0, 16, 1e-3, 4) == cost
    assert expected_existence_queries(3, 16, 1e-3, 4) < cost


def test_a_wrong_answer_is_never_believed() -> None:
    search = Searches(np.array([15]), np.array([0]), schedule(8, 1e-3, 16))
    while not search.done[0]:
        live, iterations = search.due()
        search.update(live, iterations, 16, (np.array([0]), np.array([3]), np.array([MISS])))
    assert search.depth[0] == MISS


def finish(loop: Generator[Round, Sequence[Counts], Outcome], reply: Callable[[Round], Sequence[Counts]]) -> Outcome:
    try:
        turn = next(loop)
        while True:
            turn = loop.send(reply(turn))
    except StopIteration as stop:
        outcome: Outcome = stop.value
        return outcome


def drive(family: RayTracing, shots: int, seed: int) -> Outcome:
    prepared = SPARSE.prepare(family.circuits(), TranspileOptions())
    seeds = count(1_000 * seed)  # rounds that shared one would repeat each other's bad luck
    return finish(family.rounds(shots, seed), lambda turn: SPARSE.run(prepared, turn.runs, seed=next(seeds)).counts)


@pytest.mark.parametrize("camera", CAMERAS)
def test_every_camera_sees_what_the_classical_tracer_sees(camera: str) -> None:
    tile = RayTracing(
        width=4, height=4, x0=2, y0=2, grid_bits=3, camera=camera, light_x=-2, light_y=-3, light_z=-1, delta=1e-9
    )
    outcome = drive(tile, shots=2, seed=4)
    assert outcome.value["num_wrong_pixels"] == 0
    assert outcome.score == 1.0
    hits = [hit for row in outcome.value["hits"] for hit in row if hit is not None]
    assert hits
    for primitive, depth, x, y, z, *normal, lit in hits:
        box = tile.scene[primitive]
        assert 0 <= depth <= 7
        assert sum(map(abs, normal)) == 1
        assert isinstance(lit, bool)
        assert box.x_low - 1 <= x <= box.x_high + 1  # the grid point beside the hit
        assert box.y_low - 1 <= y <= box.y_high + 1
        assert box.z_low - 1 <= z <= box.z_high + 1


def test_a_whole_image_costs_the_queries_that_were_expected() -> None:
    family = RayTracing(width=16, height=16, scene_seed=7)
    outcome = drive(family, shots=1, seed=9)
    assert outcome.value["num_wrong_pixels"] == 0
    assert outcome.value["num_queries"] == pytest.approx(outcome.value["expected_queries"], rel=0.1)


@pytest.mark.parametrize("shots", [1, 4, 16])
def test_rays_that_meet_nothing_run_the_circuits_that_were_expected(shots: int) -> None:
    family = RayTracing(width=3, height=2, boxes="0 9 9 9 9 1 1")  # the box is outside of the tile
    outcome = drive(family, shots=shots, seed=2)
    assert outcome.value["depth"] == [[None] * 3] * 2
    assert outcome.value["num_circuits"] == family.expected_runs(shots)
    assert replace(family, light_z=-1).expected_runs(shots) == 2 * family.expected_runs(shots)


@pytest.mark.parametrize("shots", [2, 16])
def test_rays_that_meet_something_run_not_many_more(shots: int) -> None:
    family = RayTracing(width=8, height=8, x0=4, y0=4)
    assert 0.5 < drive(family, shots, seed=3).value["num_circuits"] / family.expected_runs(shots) < 3.0


def test_an_axis_parallel_light_casts_shadows_too() -> None:
    scene = "0 2 5 2 5 4 4; 9 0 7 0 7 6 6"  # a plate before a wall
    tile = RayTracing(width=8, height=8, grid_bits=3, boxes=scene, light_z=-1, delta=1e-9)
    outcome = drive(tile, shots=2, seed=1)
    lit = [[hit[-1] for hit in row] for row in outcome.value["hits"]]
    assert all(all(row) for row in lit)  # what the camera sees is what a light beside it shines on
    aside = RayTracing(width=8, height=8, grid_bits=3, boxes=scene, light_x=1, light_z=-1, delta=1e-9)
    shaded = drive(aside, shots=2, seed=1)
    wall = [[hit[0] == 9 and not hit[-1] for hit in row] for row in shaded.value["hits"]]
    # light from the right front: the plate, two units before the wall's face, shades the wall one unit to its left
    assert sum(map(sum, wall)) == 4
    assert all(wall[row][1] for row in range(2, 6))


def test_frames_of_a_sequence_differ_and_stay_on_the_grid() -> None:
    first, later = random_scene(8, 4, 3, 0), random_scene(8, 4, 3, 5)
    assert first != later
    for frame in range(40):
        corners = table(random_scene(8, 4, 3, frame))
        assert corners.min() >= 0
        assert corners.max() <= 15
        assert np.all(corners[:, ::2] <= corners[:, 1::2])


def test_the_classical_tracer_counts_hits_by_depth() -> None:
    boxes = (Box(0, 7, 0, 7, 3, 5), Box(0, 7, 0, 7, 3, 4), Box(2, 3, 2, 3, 1, 1), Box(6, 7, 6, 7, 0, 0))
    found = trace(table(boxes), rays(((2, 2, 0), (0, 0, 1)), ((0, 0, 0), (0, 0, 1))), np.array([7, 2]))
    assert found.depth.tolist() == [1, MISS]
    assert found.item.tolist() == [2, MISS]
    assert found.groups == [(1, 2), ()]


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ("1 2 3", "seven integers"),
        ("1 0 16 0 3 0 3", "<= 15"),
        ("1 3 0 0 3 0 3", "low <= high"),
        ("1 0 3 0 3 0 3; 1 0 4 0 4 0 4", "an id of its own"),
        ("a b c d e f g", "seven integers"),
        ("0 0 1e3 0 1 0 1", "seven integers"),
        (";".join(f"{each} 0 1 0 1 0 1" for each in range(513)), "at most 512"),
    ],
)
def test_a_scene_that_cannot_be_is_refused(boxes: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        RayTracing(boxes=boxes)


def test_ids_of_ones_own_scene_are_kept() -> None:
    outcome = drive(RayTracing(boxes="70 0 15 0 15 9 9; 41 0 0 0 0 2 3; 5 1 1 1 1 1 1", delta=1e-9), shots=1, seed=3)
    (hit,) = outcome.value["hits"][0]
    assert hit == [41, 2, 0, 0, 2, 0, 0, -1, None]


def test_the_same_seed_asks_the_same() -> None:
    family = RayTracing(width=4, height=4)
    assert next(family.rounds(16, 3)) == next(family.rounds(16, 3))


@pytest.mark.parametrize("seed", range(6))
def test_the_reference_ray_can_be_judged(seed: int) -> None:
    family = RayTracing(scene_seed=seed)
    assert family.ideal_score > 0.5


def test_the_picture_fills_as_it_goes() -> None:
    family = RayTracing(width=3, height=2, x0=2, y0=4)
    left: list[int] = []

    def reply(turn: Round) -> Sequence[Counts]:
        left.append(turn.partial["num_pixels_left"])
        assert [len(row) for row in turn.partial["depth"]] == [3, 3]
        return SPARSE.run(prepared, turn.runs, seed=5).counts

    prepared = SPARSE.prepare(family.circuits(), TranspileOptions())
    finish(family.rounds(16, 5), reply)
    assert left == sorted(left, reverse=True)
    assert left[-1] >= 1

"""Placing a circuit's graph on a device's good edges: what is found, what is cheapest, what cannot be."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import load
from backends.calibration import Calibration, GateCalibration, QubitCalibration
from backends.layout import Demand, embedding, placements, terrain

EDGES = ((0, 1), (1, 2), (2, 3), (3, 4), (1, 5))
LOSSES = st.lists(st.floats(1e-4, 0.2), min_size=len(EDGES), max_size=len(EDGES))
READOUTS = st.lists(st.floats(1e-4, 0.3), min_size=6, max_size=6)


def device(errors: list[float], readouts: list[float]) -> Calibration:
    qubits = tuple(QubitCalibration(1e-4, 1e-4, readout, 1e-6) for readout in readouts)
    gates = [GateCalibration("sx", (q,), 1e-4, 5e-8) for q in range(6)]
    gates += [GateCalibration("cz", edge, error, 3e-7) for edge, error in zip(EDGES, errors, strict=True)]
    return Calibration(0.0, qubits, tuple(gates))


@settings(max_examples=40, deadline=None)
@given(LOSSES, READOUTS, st.integers(1, 9))
def test_the_first_placement_of_a_path_is_the_cheapest_there_is(
    errors: list[float], readouts: list[float], count: int
) -> None:
    ground = terrain(device(errors, readouts))
    nodes = {0: Demand(gates=2, readouts=1), 1: Demand(), 2: Demand(readouts=1, idle_s=1e-5)}
    pairs = {(0, 1): count, (1, 2): 2}

    def cost(a: int, b: int, c: int) -> float:
        first, second = (min(a, b), max(a, b)), (min(b, c), max(b, c))
        if first not in ground.pair or second not in ground.pair:
            return math.inf
        total = count * ground.pair[first] + 2 * ground.pair[second] + 2 * ground.gate[a]
        return total + ground.readout[a] + ground.readout[c] + 1e-5 * ground.idle_per_s[c]

    found = placements(nodes, pairs, ground, keep=3)
    costs = [cost(*(where[node] for node in range(3))) for where in found]
    assert costs == pytest.approx(sorted(costs))
    assert costs[0] == pytest.approx(min(cost(*three) for three in permutations(range(6), 3)))


def test_parts_that_never_meet_are_placed_apart_on_good_qubits() -> None:
    ground = terrain(device([0.1, 0.1, 0.1, 0.01, 0.1], [0.2, 0.2, 0.2, 0.2, 0.2, 0.01]))
    nodes = {0: Demand(readouts=1), 1: Demand(readouts=1), 2: Demand(readouts=1)}
    where = placements(nodes, {(0, 1): 5}, ground, keep=1)[0]
    assert {where[0], where[1]} == {3, 4}
    assert where[2] == 5


def test_a_graph_is_embedded_where_it_fits_and_not_where_it_does_not() -> None:
    coupling = load("virtual_hanoi").device().coupling
    assert coupling is not None
    path = [(node, node + 1) for node in range(19)]
    found = embedding(path, 21, coupling)
    assert found is not None
    assert len(set(found)) == 21, "a qubit in no pair has a place, too"
    assert all(tuple(sorted((found[a], found[b]))) in coupling for a, b in path)
    assert embedding([(0, 1), (1, 2), (0, 2)], 3, coupling) is None, "there is no triangle"
    assert embedding([], 3, coupling) is not None

"""The fluid LP against nets that are solved by hand, and its certificate."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.errors import InvalidParameter
from policies.allocators.fluid_lp import Asked, Columns, cheapest, fluid, load_unit_hz
from policies.envs.entanglement.paths import candidates
from policies.envs.entanglement.topology import Topology


def net(ends: list[tuple[int, int]], made_hz: list[float], swaps_hz: list[float], km: float = 0.0) -> Topology:
    """Nodes and links, without loss unless they have a length."""
    size, zeros = len(ends), np.zeros(len(made_hz))
    rates = np.array(made_hz, dtype=np.float64), np.array(swaps_hz, dtype=np.float64)
    return Topology(zeros, zeros, *rates, np.array(ends), np.full(size, km), np.full(size, 0.98))


def asks(*rows: tuple[int, int, float]) -> Asked:
    source, target, demand = zip(*rows, strict=True)
    return Asked.of(np.array(source), np.array(target), np.array(demand, dtype=np.float64))


CHAIN = net([(0, 1), (1, 2)], [2.0, 2.0, 2.0], [0.0, 5.0, 0.0])


def test_a_link_gives_what_its_ends_make_and_the_fibre_lets_through() -> None:
    link = net([(0, 1)], [3.0, 1.0], [0.0, 0.0], km=50.0)  # 10 dB
    assert fluid(link, asks((0, 1, 9.0)), 0.9).value == pytest.approx(0.4)
    assert fluid(link, asks((0, 1, 0.3)), 0.9).value == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("swap_success", "swaps_hz", "served"),
    [
        (1.0, 5.0, 3.0),  # each end gives its 2, the middle 1 to each side
        (0.5, 5.0, 1.5),  # twice as many pairs for each delivery
        (0.5, 1.0, 0.5),  # and twice as many swaps
        (1.0, 0.0, 0.0),  # who cannot swap cannot repeat
    ],
)
def test_a_chain_by_hand(swap_success: float, swaps_hz: float, served: float) -> None:
    found = fluid(net([(0, 1), (1, 2)], [2.0] * 3, [0.0, swaps_hz, 0.0]), asks((0, 2, 9.0)), swap_success)
    assert found.value == pytest.approx(served, abs=1e-9)
    assert found.bound == pytest.approx(served, abs=1e-6)


def test_generation_goes_where_it_is_spent() -> None:
    found = fluid(CHAIN, asks((0, 1, 9.0)), 0.9)
    assert found.value == pytest.approx(4.0)
    assert CHAIN.link_rates(found.shares(CHAIN)) == pytest.approx([4.0, 2.0], abs=1e-6)
    shares = found.shares(CHAIN)
    assert np.add.reduceat(shares, CHAIN.first[:-1]) == pytest.approx([1.0, 1.0, 1.0])


def test_prices_of_the_chain_by_hand() -> None:
    found = fluid(net([(0, 1), (1, 2)], [2.0] * 3, [0.0, 1.0, 0.0]), asks((0, 2, 9.0)), 0.5)
    assert found.swap_price[1] == pytest.approx(0.5)  # one more swap a second is half a delivery
    assert found.price == pytest.approx([0.0, 0.0])
    assert found.demand_price == pytest.approx([0.0])


def test_paths_that_no_candidate_has_are_found() -> None:
    ring = net([(0, 1), (1, 2), (0, 3), (3, 4), (2, 4)], [4.0] * 5, [9.0] * 5)
    asked = asks((0, 2, 99.0))
    only = Columns(np.array([0]), ((0, 1, 2),))
    short = fluid(ring, asked, 1.0, only, every_path=False)
    whole = fluid(ring, asked, 1.0, only)
    assert short.value == pytest.approx(6.0)  # two ends of 4 and a middle that gives 2 to each side
    assert short.bound == pytest.approx(6.0)
    # with a of each end's 4 towards node 1: y1 = 2 + a there and 3 y2 = 16 - 2 a the other way round, best at a = 4
    assert whole.value == pytest.approx(6.0 + 8.0 / 3.0)
    assert set(whole.columns.paths) == {(0, 1, 2), (0, 3, 4, 2)}
    assert whole.bound == pytest.approx(whole.value, rel=1e-6)


@given(seed=st.integers(0, 10_000), swap_success=st.floats(0.3, 1.0), load=st.floats(0.1, 20.0))
@settings(max_examples=15, deadline=None)
def test_the_certificate_closes_and_candidates_reach_no_more(seed: int, swap_success: float, load: float) -> None:
    topology = Topology.generate("rgg", 14, seed)
    draws = np.random.default_rng(seed)
    source = draws.integers(14, size=6)
    target = (source + draws.integers(1, 14, size=6)) % 14
    asked = Asked.of(source, target, load * draws.random(6), 1.0 / draws.integers(1, 4, size=6))
    columns = Columns.of(candidates(topology, source, target, 2, 14).nodes)
    every, some = (fluid(topology, asked, swap_success, columns, every_path=each) for each in (True, False))
    assert every.value <= every.bound * (1.0 + 1e-9) + 1e-12
    assert every.bound == pytest.approx(every.value, rel=1e-6, abs=1e-9)
    assert some.value <= every.bound * (1.0 + 1e-9) + 1e-12
    assert (every.served_hz <= asked.demand_hz + 1e-9).all()
    by_node = np.add.reduceat(every.spent_hz, topology.first[:-1])
    assert (by_node <= topology.generation_hz + 1e-9).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_any_prices_bound_and_the_cheapest_path_is_that_of_a_search(seed: int) -> None:
    topology = Topology.generate("er", 9, seed)
    draws = np.random.default_rng(seed)
    price, swap_price = draws.random(topology.num_links), draws.random(9)
    source, target = np.arange(8), np.arange(1, 9)
    asked = Asked.of(source, target, np.ones(8))
    cost, paths = cheapest(topology, asked, 0.7, price, swap_price)
    every = candidates(topology, source, target, 16, 8)
    number = {tuple(ends): link for link, ends in enumerate(topology.ends.tolist())}

    def costs(path: tuple[int, ...]) -> float:
        links = [number[min(step), max(step)] for step in pairwise(path)]
        return float((price[links].sum() + swap_price[list(path[1:-1])].sum()) * 0.7 ** (2 - len(path)))

    for pair, path in enumerate(paths):
        assert (path[0], path[-1]) == (source[pair], target[pair])
        assert costs(path) == pytest.approx(cost[pair])
        others = [tuple(each[each >= 0].tolist()) for each in every.nodes[pair]]
        assert all(cost[pair] <= costs(other) + 1e-12 for other in others if other)


def test_at_load_one_the_optimum_serves_nine_tenths() -> None:
    link = net([(0, 1)], [3.0, 1.0], [0.0, 0.0])
    assert load_unit_hz(link, asks((0, 1, 1.0)), 0.9) == pytest.approx(4.0 / 0.9)
    topology = Topology.generate("rgg", 30, 5)
    draws = np.random.default_rng(0)
    source = draws.integers(30, size=20)
    target = (source + draws.integers(1, 30, size=20)) % 30
    weight = draws.dirichlet(np.ones(20))
    asked = Asked.of(source, target, weight)
    unit_hz = load_unit_hz(topology, asked, 0.9)
    assert fluid(topology, replace(asked, demand_hz=unit_hz * weight), 0.9).bound / unit_hz == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("demand_hz", lambda: asks((0, 2, -1.0))),
        ("demand_hz", lambda: asks((0, 2, float("nan")))),
        ("demand_hz", lambda: load_unit_hz(CHAIN, asks((0, 2, 0.0)), 0.9)),
        ("target", lambda: asks((1, 1, 1.0))),
        ("worth", lambda: Asked.of(np.array([0]), np.array([1]), np.ones(1), -1.0)),
        ("swap_success", lambda: fluid(CHAIN, asks((0, 2, 1.0)), 0.0)),
        ("columns", lambda: fluid(CHAIN, asks((0, 2, 1.0)), 0.9, every_path=False)),
        ("served", lambda: load_unit_hz(CHAIN, asks((0, 2, 1.0)), 0.9, served=1.0)),
        ("target", lambda: fluid(net([(0, 1), (2, 3)], [1.0] * 4, [1.0] * 4), asks((0, 3, 1.0)), 0.9)),
    ],
)
def test_what_cannot_be_solved_is_refused_by_name(name: str, call: object) -> None:
    with pytest.raises(InvalidParameter, match=f"^{name}:"):
        call()  # type: ignore[operator]

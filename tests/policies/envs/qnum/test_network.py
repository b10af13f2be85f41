"""What a network is, what is refused and how its file, utilities and topologies behave."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.errors import InvalidParameter
from policies.envs.qnum import document, problem, topologies, werner
from policies.envs.qnum.network import Flow, Link, Network
from policies.envs.qnum.utilities import UTILITIES, rate_worth

LINKS = (Link((0, 1), 1000.0, 10.0), Link((2, 1), 2000.0, 20.0), Link((3, 4), 500.0))


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        (Flow((), "neg"), r"flows\[0\].route: wanted 1 to 3 links"),
        (Flow((0, 7), "neg"), r"flows\[0\].route: wanted an integer in \[0, 2\], got 7"),
        (Flow((0, 2), "neg"), r"flows\[0\].route: wanted links that follow one another"),
        (Flow((0, 0), "neg"), r"flows\[0\].route: wanted each node crossed once"),
        (Flow((0, 1), "neg", source=2), r"flows\[0\].route: wanted links that follow one another from node 2"),
        (Flow((0,), "fidelity"), r"flows\[0\].utility: wanted one of neg, skf, de, logneg"),
        (Flow((0,), "neg", weight=math.nan), r"flows\[0\].weight"),
        (Flow((0,), "neg", weight=0.0), r"flows\[0\].weight"),
        (Flow((0,), "neg", w_min=1.0), r"flows\[0\].w_min: .* infeasible"),
        (Flow((0,), "neg", alpha=0.5), r"flows\[0\].alpha"),
    ],
)
def test_a_bad_flow_is_refused_by_field(flow: Flow, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        Network(5, LINKS, (flow,))


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (Link((0, 9), 1.0), r"links\[0\].ends"),
        (Link((1, 1), 1.0), r"links\[0\].ends: wanted two different nodes"),
        (Link((0, 1), 0.0), r"links\[0\].d_hz"),
        (Link((0, 1), math.nan), r"links\[0\].d_hz"),
        (Link((0, 1), 1.0, -1.0), r"links\[0\].length_km"),
    ],
)
def test_a_bad_link_is_refused_by_field(link: Link, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        Network(5, (link,), (Flow((0,), "neg"),))


def test_arrays_follow_routes() -> None:
    network = Network(5, LINKS, (Flow((0, 1), "neg"), Flow((1, 0), "skf", w_min=0.9), Flow((2,), "neg", source=4)))
    assert network.paths == ((0, 1, 2), (2, 1, 0), (4, 3))
    np.testing.assert_array_equal(network.routes.indices, [0, 1, 1, 0, 2])
    np.testing.assert_array_equal(network.incidence.toarray(), [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(network.log_w_min, [-math.inf, math.log(0.9), -math.inf])
    assert network.latency_s[1] == 1e-4


def file() -> dict[str, Any]:
    return document.written(topologies.with_flows(topologies.nsfnet(), 6, "mixed", 3, w_min=0.9))


def test_a_file_gives_back_its_network() -> None:
    assert document.written(document.read(file())) == file()


@pytest.mark.parametrize(
    ("where", "key", "value", "words"),
    [
        ("links", "d", -1, r"links\[1\].d: "),
        ("links", "d", "fast", r"links\[1\].d: "),
        ("links", "delay_s", 1.0, r"links\[1\].delay_s"),
        ("links", "lenght_km", 1.0, r"links\[1\].lenght_km: no such key; did you mean length_km"),
        ("flows", "K", 0.1, r"flows\[1\].K: .* infeasible"),
        ("flows", "K", math.nan, r"flows\[1\].K"),
        ("flows", "dst", 99, r"flows\[1\].dst"),
        ("flows", "route_links", [], r"flows\[1\].route_links"),
        ("flows", "route_links", [77], r"flows\[1\].route: "),
        ("flows", "utility", 3, r"flows\[1\].utility"),
    ],
)
def test_a_bad_file_is_refused_by_key(where: str, key: str, value: object, words: str) -> None:
    bad = file()
    bad[where][1][key] = value
    with pytest.raises(InvalidParameter, match=words):
        document.read(bad)


@pytest.mark.parametrize("bad", [None, [], {}, {"links": []}, {"links": [1], "flows": [1]}])
def test_what_is_no_network_is_refused(bad: object) -> None:
    with pytest.raises(InvalidParameter):
        document.read(bad)


@pytest.mark.parametrize("name", sorted(UTILITIES))
def test_derivatives_of_quality_are_those_of_differences(name: str) -> None:
    utility, step = UTILITIES[name], 1e-6
    w = np.linspace(utility.least_w + 0.01, 0.995, 50)
    up, down = w * math.exp(step), w * math.exp(-step)
    slope = (utility.log_quality(up) - utility.log_quality(down)) / (2 * step)
    np.testing.assert_allclose(utility.elasticity(w), slope, rtol=1e-6)
    bend = (utility.elasticity(up) - utility.elasticity(down)) / (2 * step)
    np.testing.assert_allclose(utility.elasticity_slope(w), bend, rtol=1e-5, atol=1e-5)
    assert utility.quality(np.array([utility.least_w]))[0] == pytest.approx(0.0, abs=1e-12)
    assert utility.log_quality(np.array([utility.least_w]))[0] == -math.inf
    assert utility.elasticity(np.array([0.1]))[0] == math.inf


@pytest.mark.parametrize("name", sorted(UTILITIES))
def test_log_quality_is_concave_and_falls_in_the_logarithm_of_the_loss(name: str) -> None:
    """What makes the problem's local optima global; in W itself it holds for two of the four."""
    utility = UTILITIES[name]
    s = np.linspace(math.log(1e-5), math.log(-math.log(utility.least_w)) - 1e-3, 2000)
    values = utility.log_quality(np.exp(-np.exp(s)))
    assert (np.diff(values) < 1e-12).all()
    assert (np.diff(values, 2) < 1e-10).all()
    w = np.linspace(utility.least_w + 1e-3, 1 - 1e-6, 2000)
    assert (np.diff(utility.log_quality(w), 2) < 1e-12).all() == utility.concave


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-3, 1e6), st.sampled_from([1.0, 1.5, 2.0]))
def test_rates_are_worth_what_their_marginal_says(rate: float, alpha: float) -> None:
    step = 1e-5 * rate
    ends = rate_worth(np.array([rate - step, rate + step]), np.array([alpha, alpha]))
    assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(rate**-alpha, rel=1e-4)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 5.0))
def test_werner_states(one: float, other: float, wait_s: float) -> None:
    assert werner.werner(werner.fidelity(one)) == pytest.approx(one)
    assert werner.swapped(one, other) <= min(one, other)
    assert werner.waited(one, wait_s, 1.0) <= one
    assert werner.waited(one, wait_s, math.inf) == one


def test_hardware_gives_the_rate_of_the_instances() -> None:
    assert werner.single_click_hz(15.0) == pytest.approx(5309.593382881035)


def test_topologies_are_what_their_names_say() -> None:
    dumbbell, nsfnet = topologies.dumbbell(4, "skf"), topologies.nsfnet()
    assert (dumbbell.num_links, list(dumbbell.hops)) == (9, [3, 3, 3, 3])
    assert (nsfnet.num_nodes, len(nsfnet.links)) == (14, 21)
    drawn = topologies.random_geometric(60, 150, 4)
    assert (drawn.num_nodes, len(drawn.links)) == (60, 150)
    assert drawn == topologies.random_geometric(60, 150, 4)
    assert drawn != topologies.random_geometric(60, 150, 5)
    network = topologies.with_flows(drawn, 200, "mixed", 1)
    assert all(len(set(path)) == len(path) for path in network.paths)
    assert {flow.utility for flow in network.flows} == set(UTILITIES)


def test_rates_are_scaled_to_what_links_make() -> None:
    network = topologies.dumbbell(2, "neg")
    werner_of = np.full(network.num_links, 0.9)
    rates = problem.feasible_rates_hz(network, np.array([5000.0, 10.0]), werner_of)
    assert (problem.loads_hz(network, rates) <= problem.capacities_hz(network, werner_of) * (1 + 1e-12)).all()
    untouched = np.array([100.0, 10.0])
    np.testing.assert_array_equal(problem.feasible_rates_hz(network, untouched, werner_of), untouched)
    assert problem.gap(network, 3.0, 1.0) == 1.0
    assert problem.shortfall(network, werner_of) == 0.0

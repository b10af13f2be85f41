"""The optimum is what the instances say, is certified by conditions that know nothing of it, and beats its peers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from circuits.errors import InvalidParameter
from policies.allocators import newton
from policies.allocators.optimum import kkt_residual, optimum
from policies.envs.qnum import problem, topologies
from policies.envs.qnum.network import Network
from tests.policies.allocators.cases import INSTANCES, instance, unseen, with_minimum


@pytest.mark.parametrize("path", INSTANCES, ids=lambda path: path.stem)
def test_it_is_the_optimum_of_the_instances(path: Path) -> None:
    network, said = instance(path)
    best = optimum(network)
    assert best.utility == pytest.approx(said["optimum"]["U"], abs=1e-9)
    assert best.kkt_residual < 1e-6
    assert best.proven
    np.testing.assert_allclose(best.allocation.werner, said["optimum"]["w"], atol=1e-7)
    np.testing.assert_allclose(best.allocation.prices, said["optimum"]["lam"], atol=1e-8)


@pytest.mark.parametrize("path", INSTANCES, ids=lambda path: path.stem)
def test_with_memories_that_decohere_it_is_no_worse_than_the_best_known(path: Path) -> None:
    network, said = instance(path)
    for known in said["da_optimum"]:
        best = optimum(network, known["Tc_s"])
        assert known["U"] - 1e-9 <= best.utility <= known["U"] + 1e-5
        assert best.kkt_residual < 1e-6
        assert best.proven
        assert problem.utilities(network, best.allocation.rates_hz, best.ends).sum() == pytest.approx(best.utility)


@pytest.mark.parametrize("network", unseen(), ids=lambda network: network.name)
def test_it_is_certified_on_networks_of_all_kinds(network: Network) -> None:
    best = optimum(network)
    at = best.allocation
    assert best.kkt_residual < 1e-6
    assert (problem.loads_hz(network, at.rates_hz) <= problem.capacities_hz(network, at.werner) * (1 + 1e-9)).all()
    assert problem.shortfall(network, at.werner) < 1e-9
    assert problem.utility(network, at.rates_hz, at.werner) == pytest.approx(best.utility)
    worse = replace(at, rates_hz=0.999 * at.rates_hz)
    assert kkt_residual(network, worse) > 1e-4


@pytest.mark.parametrize("utility", ["neg", "skf", "de", "logneg"])
def test_a_general_solver_finds_nothing_better(utility: str) -> None:
    network = with_minimum(topologies.with_flows(topologies.nsfnet(), 4, utility, 5), 0.95)
    used, routes = np.flatnonzero(network.used), network.routes.toarray()
    best = optimum(network)

    def loss(z: np.ndarray) -> float:
        werner = np.ones(network.num_links)
        werner[used] = z[4:]
        value = problem.utility(network, np.exp(z[:4]), np.clip(werner, 1e-9, 1.0))
        return -value if math.isfinite(value) else 1e6

    def spare(z: np.ndarray) -> np.ndarray:
        asked = network.incidence.toarray()[used] @ np.exp(z[:4]) / network.d_hz[used]
        return np.concatenate((1.0 - z[4:] - asked, routes[:, used] @ np.log(z[4:]) - network.log_w_min))

    found = []
    for seed in range(3):
        draws = np.random.default_rng(seed)
        start = np.concatenate((np.log(draws.uniform(5, 40, 4)), draws.uniform(0.985, 0.99, used.size)))
        bounds = [(0.0, 8.0)] * 4 + [(0.5, 1.0 - 1e-9)] * used.size
        options = {"maxiter": 300, "ftol": 1e-12}
        result = minimize(
            loss, start, method="SLSQP", bounds=bounds, constraints={"type": "ineq", "fun": spare}, options=options
        )
        found.append(-result.fun if spare(result.x).min() > -1e-8 else -math.inf)
    assert max(found) <= best.utility + 1e-6
    assert max(found) >= best.utility - 1e-4


def test_a_thousand_nodes_are_no_trouble() -> None:
    network = topologies.with_flows(topologies.random_geometric(1000, 3000, 1), 2000, "mixed", 1)
    best = optimum(network)
    assert best.kkt_residual < 1e-6
    assert best.num_steps < 40


def test_more_even_rates_and_more_quality_can_be_asked_for() -> None:
    plain = topologies.with_flows(topologies.nsfnet(), 8, "skf", 3)
    even = replace(plain, flows=tuple(replace(flow, alpha=2.0) for flow in plain.flows))
    good = replace(plain, flows=tuple(replace(flow, theta=3.0) for flow in plain.flows))
    found = [optimum(network) for network in (plain, even, good)]
    assert all(each.kkt_residual < 1e-6 for each in found)
    spread = [each.allocation.rates_hz.max() / each.allocation.rates_hz.min() for each in found]
    assert spread[1] < spread[0]
    assert (found[2].ends > found[0].ends).all()


def test_what_memories_cannot_keep_is_refused_with_its_proof() -> None:
    network = with_minimum(topologies.dumbbell(2, "skf"), 0.97)
    assert optimum(network).kkt_residual < 1e-6
    with pytest.raises(InvalidParameter, match=r"flows\[0\].w_min: infeasible with memories of 0.01 s"):
        optimum(network, 0.01)
    with pytest.raises(InvalidParameter, match="coherence_s"):
        optimum(network, math.nan)


def test_what_newton_has_not_come_to_is_not_called_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newton, "MOST_STEPS", 2)
    best = optimum(topologies.dumbbell(3, "skf"))
    assert best.kkt_residual > 1e-6
    assert not best.proven

"""Controllers with local state come to the optimum, as objects and as arrays; stability is what the theory says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from circuits.errors import InvalidParameter
from policies.allocators.optimum import optimum
from policies.allocators.qprimaldual.__main__ import app
from policies.allocators.qprimaldual.controllers import Controllers
from policies.allocators.qprimaldual.fluid import GAINS, Fluid, follow
from policies.allocators.qprimaldual.laws import SCALE_FREE, TRANSCRIBED
from policies.allocators.qprimaldual.stability import (
    Rates,
    discrete_jacobian,
    field,
    jacobian,
    lyapunov,
    rates_at,
    report,
    rest,
    utility_curvature,
)
from policies.envs.qnum import problem, topologies
from policies.envs.qnum.network import Network
from tests.policies.allocators.cases import INSTANCES, instance, unseen, with_minimum


@pytest.mark.parametrize("gains", sorted(GAINS))
def test_objects_and_arrays_are_equal_bit_for_bit(gains: str) -> None:
    network = topologies.with_flows(topologies.nsfnet(), 20, "mixed", 7, w_min=0.9, weights=(0.5, 2.0))
    fluid = Fluid(network, GAINS[gains])
    state = fluid.start()
    states, controllers = fluid.states(state), Controllers(network, state, GAINS[gains])
    for _ in range(60):
        state = next(states)
        controllers.iterate()
    held = controllers.state()
    for name in state.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(state, name), getattr(held, name), err_msg=name)


@pytest.mark.parametrize("path", INSTANCES, ids=lambda path: path.stem)
@pytest.mark.parametrize("w0", [0.9, 0.967, 0.99])
def test_one_set_of_gains_serves_the_instances(path: Path, w0: float) -> None:
    network, said = instance(path)
    run = follow(Fluid(network), said["optimum"]["U"], w0=w0, most=300, until=1e-8)
    assert (run.iterations_to(1e-3) or 9999) <= 250
    assert (run.iterations_to(1e-6) or 9999) <= 300


@pytest.mark.parametrize("network", unseen(), ids=lambda network: network.name)
def test_and_networks_it_has_not_seen(network: Network) -> None:
    run = follow(Fluid(network), optimum(network).utility, most=1000, until=1e-7)
    assert (run.iterations_to(1e-3) or 9999) <= 250
    assert (run.iterations_to(1e-6) or 9999) <= 1000
    assert run.shortfalls[-1] < 1e-4


@pytest.mark.parametrize(
    ("nodes", "flows", "utility", "w_min", "seed"), [(60, 60, "mixed", 0.85, 1010), (40, 30, "neg", 0.8, 32)]
)
def test_minima_in_force_cost_few_iterations(nodes: int, flows: int, utility: str, w_min: float, seed: int) -> None:
    """Long flows that push against minimum quality; with the second, prices of an idle link once cycled."""
    where = topologies.random_geometric(nodes, 2 * nodes, seed)
    network = topologies.with_flows(where, flows, utility, seed, w_min=w_min, weights=(0.5, 2.0))
    best = optimum(network)
    assert best.allocation.quality_prices is not None
    assert (best.allocation.quality_prices > 0.0).any()
    run = follow(Fluid(network), best.utility, most=1000, until=1e-7)
    assert (run.iterations_to(1e-3) or 9999) <= 250
    assert (run.iterations_to(1e-6) or 9999) <= 1000


def test_it_bears_messages_that_take_five_iterations_each_way() -> None:
    network, said = instance(INSTANCES[1])
    run = follow(Fluid(network, delay=5), said["optimum"]["U"], most=4000, until=1e-4)
    assert (run.iterations_to(1e-3) or 9999) <= 4000


def test_the_variant_without_reports_of_quality_settles_near_the_optimum() -> None:
    network, said = instance(INSTANCES[2])
    run = follow(Fluid(network, variant="approx"), said["optimum"]["U"], most=600)
    assert 1e-5 < run.gaps[-1] < 0.06
    assert np.ptp(run.gaps[-50:]) < 1e-6


def test_the_transcribed_gains_suit_some_networks_and_not_others() -> None:
    radii = []
    for path in INSTANCES[:2]:
        network, _ = instance(path)
        fluid = Fluid(network, TRANSCRIBED)
        radii.append(np.abs(np.linalg.eigvals(discrete_jacobian(fluid, rest(fluid, optimum(network))))).max())
    assert radii[0] > 1.0 > radii[1]


def test_stability_at_the_optimum_is_conditional() -> None:
    network = with_minimum(topologies.dumbbell(2, "skf"), 0.975)
    best = optimum(network)
    links, flows = np.ones(network.num_links), np.ones(network.num_flows)
    assert np.linalg.eigvalsh(utility_curvature(network, best)).max() == pytest.approx(19.9, abs=0.05)

    def abscissa(rates: Rates) -> float:
        return float(np.linalg.eigvals(jacobian(network, best, rates)).real.max())

    assert abscissa(rates_at(network, best, SCALE_FREE)) < 0.0
    assert -1e-5 < abscissa(rates_at(network, best, TRANSCRIBED)) < 0.0
    assert abscissa(Rates(1e-7 * links, 1e-2 * links, 1e-2 * flows)) == pytest.approx(0.099, abs=1e-3)
    run = follow(Fluid(network), best.utility, most=400)
    assert (run.iterations_to(1e-3) or 9999) <= 250


@pytest.mark.parametrize("utility", ["neg", "logneg"])
def test_the_lyapunov_function_falls_everywhere_if_utilities_are_concave(utility: str) -> None:
    """Hence along every trajectory; V is quadratic, so that its slope along the field is a difference of two values."""
    network = topologies.with_flows(topologies.nsfnet(), 6, utility, 4, w_min=0.9)
    best, draws = optimum(network), np.random.default_rng(2)
    rates, prices = rates_at(network, best, SCALE_FREE), best.allocation.prices
    assert prices is not None
    for _ in range(200):
        far = draws.uniform(0.05, 1.0)
        w = 1.0 - (1.0 - best.allocation.werner) * np.exp(far * draws.standard_normal(network.num_links))
        at = (
            w,
            prices * np.exp(far * draws.standard_normal(w.size)),
            draws.exponential(size=6) * draws.integers(2, size=6),
        )
        if not np.isfinite(network.by_utility("elasticity", problem.end_to_end(network, np.maximum(w, 1e-9)))).all():
            continue
        way = field(network, rates, *at)
        ahead, behind = (
            lyapunov(network, best, rates, *(x + sign * 1e-3 * v for x, v in zip(at, way, strict=True)))
            for sign in (1, -1)
        )
        assert ahead < behind


def test_a_trajectory_comes_to_the_optimum_with_the_lyapunov_function_falling() -> None:
    network = topologies.dumbbell(3, "neg")
    best, step = optimum(network), 0.02
    rates, prices = rates_at(network, best, SCALE_FREE), best.allocation.prices
    assert prices is not None
    at = (1.0 - 1.5 * (1.0 - best.allocation.werner), 0.7 * prices, np.zeros(3))
    values = []
    for _ in range(6000):
        values.append(lyapunov(network, best, rates, *at))
        way = field(network, rates, *at)
        at = tuple(np.maximum(x + step * v, 0.0) for x, v in zip(at, way, strict=True))
    assert (np.diff(values) <= 1e-9 * values[0]).all()
    assert values[-1] < 1e-2 * values[0]


def test_the_report_says_what_settles_and_what_does_not() -> None:
    network, _ = instance(INSTANCES[0])
    best = optimum(network)
    ours, transcribed = report(network, best, SCALE_FREE, 1), report(network, best, TRANSCRIBED, 1)
    assert ours.abscissa < 0.0
    assert ours.radius < 1.0
    assert ours.delay_margin is not None
    assert transcribed.radius > 1.0
    assert transcribed.delay_margin is None


def test_commands_answer_in_json_and_refuse_in_words(tmp_path: Path) -> None:
    run, file = CliRunner(), str(tmp_path / "net.json")
    made = run.invoke(app, ["topology", "nsfnet", "--flows", "5", "--seed", "3", "--out", file, "--json"])
    assert json.loads(made.stdout)["links"] == 21
    solved = json.loads(run.invoke(app, ["solve", file, "--json"]).stdout)
    assert {"utility", "rates_hz", "werner", "prices", "kkt_residual"} <= set(solved)
    fluid = json.loads(run.invoke(app, ["fluid", file, "--json", "--iterations", "300"]).stdout)
    assert fluid["iterations_1e-3"] <= fluid["iterations_1e-6"] <= 300
    assert json.loads(run.invoke(app, ["stability", file, "--json"]).stdout)["stable"]
    document = json.loads(Path(file).read_text())
    document["flows"][2]["route_links"] = [99]
    Path(file).write_text(json.dumps(document))
    refused = run.invoke(app, ["solve", file])
    assert refused.exit_code == 2
    assert "flows[2].route" in refused.stderr


def test_options_are_checked() -> None:
    network, _ = instance(INSTANCES[0])
    with pytest.raises(InvalidParameter, match="delay"):
        Fluid(network, delay=-1)
    with pytest.raises(InvalidParameter, match="variant"):
        Fluid(network, variant="quick")
    with pytest.raises(InvalidParameter, match="w0"):
        Fluid(network).start(1.5)
    assert replace(Fluid(network), delay=2).delay == 2

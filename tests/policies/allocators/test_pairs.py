"""Tables of rates: the law of waiting, the pairs that come, and what is quoted of both."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from backends.pairs import QPUNetwork
from orchestrator.entanglement import Delivered, PairDemand
from orchestrator.errors import UnknownQuote
from orchestrator.records import from_json
from policies.allocators.pairs.__main__ import app
from policies.allocators.pairs.law import law, mean_first_s, mean_max_exp_s, ready
from policies.allocators.pairs.line import Hardware, Route, line, rehearse
from policies.allocators.pairs.table import PairTable
from policies.allocators.pairs.tables import fluid, static
from policies.allocators.qprimaldual.__main__ import app as topologies_app
from policies.envs.qnum import topologies

IDEAL = Hardware(memories=1_000, coherence_s=1e6, cutoff_s=1e6, swap_success=1.0, swap_visibility=1.0)
RATES = st.lists(st.floats(0.1, 20.0), min_size=1, max_size=6)


@given(rates=RATES)
def test_the_latest_of_exponentials_lies_between_the_slowest_and_the_sum(rates: list[float]) -> None:
    found = mean_max_exp_s(rates)
    assert max(1.0 / rate for rate in rates) * (1.0 - 1e-9) <= found <= sum(1.0 / rate for rate in rates) * (1.0 + 1e-9)


@settings(max_examples=20)
@given(rates=RATES)
def test_the_law_of_one_pair_has_the_mean_of_inclusion_and_exclusion(rates: list[float]) -> None:
    route = Route(tuple(rates), (1.0,) * len(rates))
    mean_s, variance_s2 = law(route, IDEAL, 1, [0] * len(rates)).moments()
    assert mean_s == pytest.approx(mean_first_s(route, IDEAL, [0] * len(rates)), rel=1e-3)
    assert variance_s2 > 0.0


def test_one_link_is_a_gamma_law() -> None:
    found = ready(Route((2.0,), (1.0,)), IDEAL, rehearse(Route((2.0,), (1.0,)), IDEAL, 200), 1, [0])
    assert found.p50_s == pytest.approx(math.log(2.0) / 2.0, rel=1e-4)
    assert found.p90_s == pytest.approx(math.log(10.0) / 2.0, rel=1e-4)


def test_stock_is_what_need_not_be_made() -> None:
    route = Route((2.0, 1.0), (1.0, 1.0))
    assert mean_first_s(route, IDEAL, [1, 1]) == 0.0
    assert mean_first_s(route, IDEAL, [1, 0]) == pytest.approx(1.0)
    assert law(route, IDEAL, 1, [1, 1]).quantile(0.9) == 0.0
    assert law(route, IDEAL, 2, [1, 3]).quantile(0.5) == pytest.approx(math.log(2.0) / 2.0, rel=1e-4)


@pytest.mark.parametrize(("rates", "pairs"), [((3.0, 2.0), 1), ((3.0, 2.0, 2.5), 3), ((1.0,), 40), ((2.0, 2.0), 25)])
def test_quoted_times_hold_as_often_as_they_say(rates: tuple[float, ...], pairs: int) -> None:
    route, hardware = Route(rates, (0.97,) * len(rates)), Hardware()
    quoted = ready(route, hardware, rehearse(route, hardware, 5_000), pairs, [0] * len(rates))
    took = []
    for seed in range(400):
        fresh = line(route, hardware, seed)
        for _ in range(pairs):
            fresh.next_pair(1e9)
        took.append(fresh.now_s)
    assert np.mean(np.array(took) <= quoted.p90_s) == pytest.approx(0.9, abs=0.05)
    assert np.mean(np.array(took) <= quoted.p50_s) == pytest.approx(0.5, abs=0.09)


def test_a_pair_is_the_product_of_its_links() -> None:
    hardware = Hardware(memories=1, coherence_s=1e9, cutoff_s=1e9, swap_success=1.0, swap_visibility=0.99)
    pair = line(Route((5.0, 5.0, 5.0), (0.9, 0.8, 0.95)), hardware, 1).next_pair(1e9)
    assert pair is not None
    assert pair[1] == pytest.approx(0.25 + 0.75 * 0.9 * 0.8 * 0.95 * 0.99**2, abs=1e-6)


def test_swaps_that_fail_burn_pairs_and_old_pairs_are_thrown_away() -> None:
    route = Route((10.0, 10.0), (1.0, 1.0))
    sure = rehearse(route, Hardware(swap_success=1.0), 2_000)
    half = rehearse(route, Hardware(swap_success=0.5), 2_000)
    assert half.rate_hz == pytest.approx(0.5 * sure.rate_hz, rel=0.1)
    resting = line(route, Hardware(cutoff_s=0.5), 1)
    resting.rest(100.0)
    resting._next_s[:] = [math.inf, math.inf]
    resting.rest(100.4)
    assert resting.stock[0][-1] > 99.0
    resting.rest(101.0)
    assert resting.live() == [0, 0]


def test_the_same_seed_brings_the_same_pairs_and_another_seed_others() -> None:
    network, demand = topologies.dumbbell(2), PairDemand("j", "0", "2", 5)
    came = []
    for seed in (1, 1, 2):
        table = static(network, seed=seed)
        lease = table.reserve(table.quote([demand])[0].quote_id)
        table.advance(5.0)
        came.append([(pair.ready_s, pair.fidelity) for pair in table.poll(lease)])
    assert came[0] == came[1] != came[2]


def test_pairs_that_are_not_good_enough_do_not_count() -> None:
    table = PairTable("mine", {("a", "b"): Route((5.0, 5.0), (0.95, 0.95))}, Hardware(coherence_s=2.0), seed=1)
    any_pair, good = table.quote([PairDemand("j", "a", "b", 20), PairDemand("j", "a", "b", 20, min_fidelity=0.8)])
    assert good.rate_hz < any_pair.rate_hz
    assert good.fidelity_mean > any_pair.fidelity_mean
    assert good.ready_p50_s > any_pair.ready_p50_s
    lease = table.reserve(good.quote_id)
    table.advance(100.0)
    assert min(pair.fidelity for pair in table.poll(lease)) >= 0.8


def test_after_its_deadline_a_lease_gets_nothing() -> None:
    table = PairTable("mine", {("a", "b"): Route((5.0,), (0.95,))}, seed=1)
    lease = table.reserve(table.quote([PairDemand("j", "a", "b", 1_000, deadline_s=2.0)])[0].quote_id)
    table.advance(50.0)
    assert 0 < len(table.poll(lease)) < 30
    assert max(pair.ready_s for pair in table.poll(lease)) <= 2.0
    next_one = table.quote([PairDemand("other", "a", "b", 5)])[0]
    assert next_one.ready_p50_s < 2.0, "what was given up is not in front"


def test_a_quote_is_reserved_once() -> None:
    table = PairTable("mine", {("a", "b"): Route((5.0,), (0.95,))}, seed=1)
    quote = table.quote([PairDemand("j", "a", "b", 1)])[0]
    table.reserve(quote.quote_id)
    with pytest.raises(UnknownQuote):
        table.reserve(quote.quote_id)


def test_feedback_moves_quoted_fidelities_towards_what_came() -> None:
    table = PairTable("mine", {("a", "b"): Route((5.0,), (0.95,))}, seed=1)
    before = table.quote([PairDemand("j", "a", "b", 10)])[0]
    for _ in range(40):
        lease = table.reserve(table.quote([PairDemand("j", "a", "b", 10)])[0].quote_id)
        table.feedback(lease, Delivered(lease.lease_id, 10, 1.0, before.fidelity_mean - 0.03, True))
        table.release(lease)
    after = table.quote([PairDemand("j", "a", "b", 10)])[0]
    assert before.fidelity_mean - 0.03 <= after.fidelity_mean < before.fidelity_mean - 0.01


def test_the_linear_program_makes_more_pairs_in_all_than_even_shares() -> None:
    network = topologies.with_flows(topologies.nsfnet(), 6, "neg", 3)
    totals = [sum(each.rate_hz for each in build(network).provisioned().values()) for build in (static, fluid)]
    assert totals[1] > totals[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two flows over one trunk, as the commands read them."""
    made = CliRunner().invoke(
        topologies_app, ["topology", "dumbbell", "--flows", "2", "--out", str(tmp_path / "net.json")]
    )
    assert made.exit_code == 0, made.output
    return tmp_path / "net.json"


def test_the_commands_quote_and_provision(file: Path, tmp_path: Path) -> None:
    asked = ["quote", str(file), "--src", "0", "--dst", "2", "--pairs", "20", "--json"]
    quoted = CliRunner().invoke(app, asked)
    assert quoted.exit_code == 0, quoted.output
    assert json.loads(quoted.output)["source"] == "static"
    out = tmp_path / "qpus.json"
    words = ["provision", str(file), "--qubits", "4,3", "--qpus", "0,2", "--allocator", "fluid", "--out", str(out)]
    assert CliRunner().invoke(app, words).exit_code == 0
    network = from_json(QPUNetwork, out.read_text())
    assert (network.qubits, network.allocator, len(network.links)) == ((4, 3), "fluid", 1)
    assert network.links[0].rate_hz == pytest.approx(json.loads(quoted.output)["rate_hz"], rel=0.8)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["quote", "NET", "--src", "0", "--dst", "9"], "dst"),
        (["quote", "NET", "--src", "0", "--dst", "2", "--pairs", "0"], "num_pairs"),
        (["quote", "NET", "--src", "0", "--dst", "2", "--min-fidelity", "0.1"], "min_fidelity"),
        (["quote", "NET", "--src", "0", "--dst", "2", "--allocator", "nobody"], "nobody"),
        (["provision", "NET", "--qubits", "4,x", "--out", "OUT"], "qubits"),
        (["provision", "NET", "--qubits", "4,4", "--qpus", "0,9", "--out", "OUT"], "qpus"),
    ],
)
def test_bad_input_is_refused_in_a_line(words: list[str], said: str, file: Path, tmp_path: Path) -> None:
    places = {"NET": str(file), "OUT": str(tmp_path / "out.json")}
    found = CliRunner().invoke(app, [places.get(word, word) for word in words])
    assert found.exit_code != 0
    assert said in found.output
    assert "Traceback" not in found.output

"""The packet network: open loops are Jackson networks, and the compiled kernel does what the reference does."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.errors import InvalidParameter
from policies.envs.qnum.document import load
from policies.envs.qnum.network import Network
from policies.envs.qnum.packet import record as rec
from policies.envs.qnum.packet import reference
from policies.envs.qnum.packet.jackson import open_loop
from policies.envs.qnum.packet.play import ENGINES, play
from policies.envs.qnum.packet.record import Record
from policies.envs.qnum.packet.settings import VARIANTS, Change, Physics, Run
from policies.envs.qnum.packet.summary import header_byte, summary
from policies.envs.qnum.topologies import dumbbell, random_geometric, with_flows

INSTANCES = Path(__file__).parents[2] / "allocators" / "instances"
ROUGH = Physics(
    coherence_s=1.0,
    latency_factor=3.0,
    swap_success=0.98,
    swap_werner=0.99,
    datagram_loss=0.01,
    ack_loss=0.02,
    storage=6,
    cutoff=0.5,
)
CHANGES = (
    Change(0.5, "link_down", 1),
    Change(0.9, "link_up", 1),
    Change(0.4, "join", 2),
    Change(0.8, "leave", 0),
    Change(1.1, "join", 0),
)


def network(seed: int) -> Network:
    drawn = with_flows(random_geometric(8, 12, seed), 5, "mixed", seed, weights=(0.5, 2.0), w_min=0.6)
    flows = (replace(drawn.flows[0], alpha=2.0, theta=1.5), *drawn.flows[1:])
    return replace(drawn, flows=flows)


def run_of(variant: str, seed: int, duration_s: float = 1.5) -> Run:
    drawn = network(seed)
    if variant in {"open", "aimd"}:
        rates_hz = np.full(drawn.num_flows, 60.0)
        return Run(drawn, ROUGH, VARIANTS[variant], duration_s, seed, 0.25, rates_hz, changes=CHANGES)
    return Run(drawn, ROUGH, VARIANTS[variant], duration_s, seed, 0.25, changes=CHANGES)


def conserved(record: Record) -> bool:
    """Whether every q-datagram ended somehow or is under way."""
    sums = record.flows.sum(axis=(0, 2))
    return bool(sums[rec.EMITTED] == sums[rec.DELIVERED] + sums[rec.LOST :].sum() + record.under_way)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_kernel_and_reference_have_the_same_events(variant: str, seed: int) -> None:
    pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")
    run = run_of(variant, seed)
    one, other = (play(run, engine, trace=True) for engine in ("reference", "compiled"))
    assert one.trace is not None
    assert other.trace is not None
    assert len(one.trace) == one.num_events > 500
    np.testing.assert_array_equal(one.trace, other.trace)
    for name in ("flows", "links", "most_waiting", "num_inferred", "num_timeouts", "num_acks", "under_way"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert conserved(one)


def test_another_seed_is_another_run() -> None:
    one, other = (reference.simulate(replace(run_of("da", 1, 0.3), seed=seed)) for seed in (1, 2))
    assert one.num_events != other.num_events


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_is_looked_at_is_the_same_run(engine: str) -> None:
    if engine == "compiled":
        pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")
    told: list[float] = []
    seen: list[np.ndarray] = []
    run = run_of("da", 1, 1.1)
    record = play(run, engine, lambda now_s, sums: (told.append(now_s), seen.append(sums.copy())))
    assert record.num_events == play(run, engine).num_events
    np.testing.assert_allclose(told[:4], [0.25, 0.5, 0.75, 1.0], atol=0.01)
    np.testing.assert_array_equal(seen[:4], record.flows[:4])


def test_tables_grow_and_nothing_is_forgotten() -> None:
    pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")
    drawn = dumbbell(2)
    run = Run(drawn, Physics(), VARIANTS["open"], 6.0, 1, rates_hz=np.full(2, 4000.0))
    one, other = (play(run, engine) for engine in ("reference", "compiled"))
    assert one.under_way == other.under_way > 20_000
    assert conserved(other)


def test_the_open_loop_is_a_jackson_network() -> None:
    """Rates, Werner parameters and latencies of an instance, whose stored answer is the same prediction."""
    found = load(INSTANCES / "dumbbell4_skf.json")
    rates_hz = np.array([69.1961231733231, 69.49562612362725, 69.49562612362725, 69.1961231733231])
    w = [0.9870601121388967, 0.9854183650440699, 0.9836391364855518, 0.9817219225729833]
    werner = np.array([*w, 0.9267294635629133, *w[::-1]])
    physics = Physics(coherence_s=5.0)
    ends, late_s = open_loop(found, rates_hz, werner, physics)
    np.testing.assert_allclose(ends, [0.8726103659740834, 0.872945298102228, 0.872945298102228, 0.8726103659740834])
    np.testing.assert_allclose(late_s[:2], [0.13025888197101854, 0.12976062675173378])
    run = Run(found, physics, VARIANTS["open"]._replace(period_s=1.0), 900.0, 5, rates_hz=rates_hz, werner=werner)
    seen = summary(play(run), 10.0)
    assert seen.rates_hz.sum() == pytest.approx(rates_hz.sum(), rel=0.01)
    assert seen.werner.mean() == pytest.approx(ends.mean(), rel=0.002)
    assert seen.latency_s.mean() == pytest.approx(late_s.mean(), rel=0.02)
    assert seen.overhead_byte == 0.0


def test_a_link_that_is_asked_for_too_much_has_no_prediction() -> None:
    with pytest.raises(InvalidParameter, match=r"links\[2\]"):
        open_loop(dumbbell(2), np.full(2, 100.0), np.full(5, 0.967), Physics())


def test_swaps_and_latency_cost_what_they_say() -> None:
    """One flow alone on two quick links: no waiting to speak of, so quality is known."""
    drawn = dumbbell(1)
    physics = Physics(coherence_s=0.5, latency_factor=100.0, swap_success=0.8, swap_werner=0.9, ack_decoherence=True)
    werner = np.full(3, 0.5)
    run = Run(drawn, physics, VARIANTS["open"], 60.0, 3, rates_hz=np.array([20.0]), werner=werner)
    seen = summary(play(run))
    light_s = 3 * 100.0 * 15.0 / 2e5
    slack = drawn.d_hz[0] * 0.5 - 20.0
    waits = (slack / (slack + 4.0)) ** 2
    assert seen.werner[0] == pytest.approx(0.5**3 * 0.9**2 * waits * math.exp(-4.0 * 2.0 * light_s), rel=1e-3)
    assert seen.rates_hz[0] == pytest.approx(20.0 * 0.8**2, rel=0.1)
    assert seen.latency_s[0] == pytest.approx(light_s + 3.0 / slack, rel=1e-2)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.sampled_from(sorted(VARIANTS)), st.integers(1, 20))
def test_queues_keep_to_their_storage_and_no_pair_is_lost_unseen(seed: int, variant: str, storage: int) -> None:
    run = replace(run_of(variant, seed, 0.5), physics=replace(ROUGH, storage=storage))
    record = reference.simulate(run)
    assert record.most_waiting.max() <= storage
    assert conserved(record)
    delivered = record.flows[:, rec.DELIVERED]
    assert (record.flows[:, rec.WERNER] <= delivered).all()
    assert (record.flows[:, rec.WERNER] >= 0.0).all()


def test_nothing_passes_a_link_that_is_down() -> None:
    drawn = dumbbell(2)
    changes = (Change(1.0, "link_down", 2), Change(2.0, "link_up", 2))
    run = Run(drawn, Physics(), VARIANTS["open"], 4.0, 1, 0.25, np.full(2, 50.0), changes=changes)
    record = play(run)
    delivered = record.flows[:, rec.DELIVERED].sum(axis=1)
    assert delivered[5:8].sum() == 0.0
    assert delivered[:4].all()
    assert delivered[9:].all()
    assert summary(record).lost["failure"] > 50


def test_quality_taken_locally_costs_fewer_bytes() -> None:
    assert sum(header_byte(VARIANTS["da-approx"])) < sum(header_byte(VARIANTS["da"])) <= 7 * 8


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("coherence_s", 0.0, "coherence_s"), ("swap_success", 0.0, "swap_success"), ("storage", 0, "storage")],
)
def test_impossible_physics_is_refused(field: str, value: float, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        Physics(**{field: value})


def test_impossible_runs_are_refused() -> None:
    drawn = dumbbell(2)
    with pytest.raises(InvalidParameter, match=r"changes\[0\]\.who: wanted a link below 5, got 5"):
        Run(drawn, Physics(), VARIANTS["da"], 1.0, 1, changes=(Change(0.0, "link_down", 5),))
    with pytest.raises(InvalidParameter, match="duration_s"):
        Run(drawn, Physics(), VARIANTS["da"], math.nan, 1)

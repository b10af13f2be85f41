"""Pairs by policies of the entanglement network: guests, trials, quotes that hold, announcements, stretching."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")

from circuits.errors import InvalidParameter
from orchestrator.entanglement import Delivered, PairDemand
from policies.allocators.pairs.line import Hardware
from policies.allocators.pairs.network import STEP, PairNetwork
from policies.allocators.pairs.networks import MOST_HZ, local, world_of
from policies.allocators.pairs.trials import MOMENTS, SIZES, tried
from policies.envs.entanglement import state as states
from policies.envs.entanglement.episode import Episode, build
from policies.envs.entanglement.guests import Guests
from policies.envs.entanglement.play import Run, advance, begin
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.qnum import topologies
from policies.envs.qnum.werner import fidelity

SMALL = EntanglementSetting(num_nodes=20, duration_s=120.0, offered_hz=1.5, topology_seed=5)
RULE = states.local("local")


@lru_cache(maxsize=1)
def busy() -> Episode:
    return build(SMALL)


def events(run: Run) -> list[list[object]]:
    parts = (zip(whole.tolist(), values.tolist(), strict=True) for whole, values in run.traced)
    return [[*row, value] for part in parts for row, value in part]


def queued(guests: Guests) -> list[int]:
    """What everybody who waits wants of each link."""
    state = guests.run.state
    pending = state.pending[: state.count[states.NUM_PENDING]].tolist()
    none = np.zeros(state.queue.size, np.int64)
    return sum((guests.queued(row) for row in pending), none).tolist()  # type: ignore[no-any-return]


def test_without_guests_nothing_is_different_and_a_guest_that_leaves_leaves_no_queue() -> None:
    alone, other = begin(busy(), RULE, trace=True), Guests(begin(busy(), RULE, trace=True))
    row = other.ask(0, 3, 0.5, 40)
    assert other.waits(row)
    other.leave(row)
    other.leave(row)
    for until in (50, SMALL.num_slots):
        advance(alone, until)
        advance(other.run, until)
    assert events(other.run) == events(alone)
    assert alone.state.tally.tolist() == other.run.state.tally.tolist()
    row = other.ask(0, 30, 0.25, other.run.slot + 10)
    advance(other.run, other.run.slot + 2)
    assert other.queued(row).max() == other.run.state.left[row] > 0
    assert other.run.state.queue.tolist() == queued(other)
    other.leave(row)
    assert not other.queued(row).any()
    assert other.run.state.queue.tolist() == queued(other)


def test_guests_are_served_in_the_order_of_deadlines_beside_the_others() -> None:
    guests = Guests(begin(busy(), RULE, trace=True))
    rows = []
    for slot in range(0, 500, 25):
        advance(guests.run, slot)
        rows.append(guests.ask(slot // 25 % 4, 2, 0.25, slot + 20))
        pending = guests.run.state.pending[: guests.run.state.count[states.NUM_PENDING]]
        assert (np.diff(guests.run.plan.deadline[pending]) >= 0).all()
    advance(guests.run, 600)
    came = list(guests.came())
    assert {row for _, row, _ in came} <= set(rows)
    assert 10 < len(came) <= 40
    assert all(0.25 <= each <= 1.0 for _, _, each in came)
    state = guests.run.state
    assert (
        np.bincount([row for _, row, _ in came], minlength=state.left.size)[rows].tolist()
        == (2 - state.left[rows]).tolist()
    )
    assert set(state.status[rows].tolist()) <= {states.DELIVERED, states.EXPIRED}


def test_the_world_of_a_network_makes_what_its_links_make() -> None:
    network = topologies.dumbbell(2)
    episode, second_s = world_of(network, 0.95, Hardware(), 1)
    topology = episode.topology
    made = network.d_hz * 0.05
    # every node splits what it makes in proportion to what its links make
    half = 0.5 * made * second_s
    shares = half[topology.incident] / np.add.reduceat(half[topology.incident], topology.first[:-1])[topology.owner]
    np.testing.assert_allclose(topology.link_rates(shares) / second_s, made)
    assert topology.link_rates(shares).max() == pytest.approx(MOST_HZ)
    assert topology.fidelity == pytest.approx(fidelity(0.95))
    assert episode.setting.coherence_s * second_s == pytest.approx(Hardware().coherence_s)
    with pytest.raises(InvalidParameter, match="werner"):
        world_of(network, 1.0, Hardware(), 1)
    with pytest.raises(InvalidParameter, match="flows"):
        local(replace(network, flows=(network.flows[0], network.flows[0])))


def test_trials_tell_how_long_more_and_better_pairs_take() -> None:
    found, good = (tried(busy(), RULE, 0, least) for least in (0.25, 0.8))
    for size in SIZES:
        assert found.waits[size].shape == found.fidelities[size].shape == (len(found.seen[size]), size)
        assert MOMENTS / 5 < len(found.seen[size]) <= MOMENTS
        assert (found.waits[size] >= 1.0).all()
        assert (np.diff(found.waits[size], axis=1) >= 0.0).all()
        came = np.isfinite(found.fidelities[size])
        assert (np.diff(found.waits[size], axis=1)[came[:, 1:]] >= 1.0).all()
    now = found.seen[4].mean(axis=0)
    sizes = (1, 2, 4, 8, 16, 40, 400)
    middle = [np.median(found.like(now, pairs, lambda _: (1.0, 0.0))[0]) for pairs in sizes]
    assert middle == sorted(middle)
    assert middle[-1] == pytest.approx(400 * found.busy.mean, rel=0.3)
    assert np.nanmin(good.fidelities[1]) >= 0.8
    assert good.busy.rehearsal(0.2).rate_hz < found.busy.rehearsal(0.2).rate_hz


def test_what_goes_beyond_trials_takes_longer_the_more_others_ask() -> None:
    """The dumbbell's flows share their trunk: among others a flow has half of it."""
    desk = local(topologies.dumbbell(2), seed=1)
    trials = desk._trials(desk._flows["0", "2"], 0.25)
    assert trials.alone.mean < 0.8 * trials.busy.mean
    means = [trials.more(200, lambda _, share=share: (share, 0.0)).mean() for share in (0.0, 0.5, 1.0)]
    assert means == sorted(means)
    assert means[0] == pytest.approx(200 * trials.alone.mean, rel=0.05)
    assert means[-1] == pytest.approx(200 * trials.busy.mean, rel=0.05)
    certain, doubtful = (trials.more(200, lambda _, sd=sd: (0.5, sd)) for sd in (0.0, 0.3))
    assert np.ptp(doubtful) > np.ptp(certain)


def test_a_quote_knows_what_another_flow_has_reserved() -> None:
    desk = local(topologies.dumbbell(2), seed=1)
    (alone,) = desk.quote([PairDemand("job", "0", "2", 50)])
    (rival,) = desk.quote([PairDemand("rival", "1", "3", 1000)])
    desk.reserve(rival.quote_id)
    (among,) = desk.quote([PairDemand("job", "0", "2", 50)])
    assert among.ahead == 0, "it does not stand in its way"
    assert among.ready_p50_s > 1.1 * alone.ready_p50_s, "but takes half of the trunk"


def served(luck: int) -> PairNetwork:
    episode = build(SMALL.but(physics_seed=luck))
    return PairNetwork("local", episode, RULE, {("a", "b"): 0}, past=busy())


def test_quotes_hold_in_a_network_with_other_users() -> None:
    inside, misses = [], []
    for luck in range(1, 5):
        desk, moment_s = served(luck), 5.0
        for pairs in (1, 3, 8, 2, 1, 5):
            desk.advance(moment_s)
            (quote,) = desk.quote([PairDemand("job", "a", "b", pairs)])
            lease = desk.reserve(quote.quote_id)
            while len(desk.poll(lease)) < pairs and desk.now_s < moment_s + 500.0:
                desk.advance(desk.now_s + 1.0)
            came = desk.poll(lease)
            inside.append(came[-1].ready_s - moment_s <= quote.ready_p90_s)
            misses.append(np.mean([pair.fidelity for pair in came]) - quote.fidelity_mean)
            desk.release(lease)
            moment_s = desk.now_s + 3.0
    assert 0.7 <= np.mean(inside) <= 1.0
    assert abs(float(np.mean(misses))) < 0.05


def test_what_is_announced_is_expected_of_links_and_then_asked_for() -> None:
    desk = served(1)
    demand = PairDemand("job", "a", "b", 6)
    (quote,) = desk.quote([demand])
    from_s = 4.0 * quote.ready_p90_s
    desk.announce([demand], from_s)
    begun = from_s - 1.5 * quote.ready_p90_s
    desk.advance(begun)
    run, paths = desk._guests.run, desk._guests.run.plan
    links = paths.links[0, 0, : paths.hops[0, 0]]
    expected = run.rule.announced[0]
    assert (expected[links] > 0.0).all()
    desk.advance(from_s + 0.2)
    assert len(desk._flows["a", "b"].held[0].pairs) > 0
    lease = desk.reserve(desk.quote([demand])[0].quote_id)
    assert all(pair.ready_s == lease.granted_s for pair in desk.poll(lease))
    assert desk._rule_now() is desk._rule


def test_waits_that_were_too_long_stretch_what_is_quoted_next() -> None:
    desk = served(1)
    demand = PairDemand("job", "a", "b", 4)
    (before,) = desk.quote([demand])
    for _ in range(10):
        lease = desk.reserve(desk.quote([demand])[0].quote_id)
        desk.feedback(lease, Delivered(lease.lease_id, 4, 1e6, None, False))
        desk.release(lease)
    (after,) = desk.quote([demand])
    assert after.ready_p90_s == pytest.approx(before.ready_p90_s * np.exp(10 * STEP * 0.9))
    assert after.ready_p50_s == pytest.approx(before.ready_p50_s * np.exp(10 * STEP * 0.5)), "each by itself"


def test_nobody_gets_pairs_better_than_links_make() -> None:
    desk = served(1)
    (quote,) = desk.quote([PairDemand("job", "a", "b", 1, min_fidelity=0.999, deadline_s=60.0)])
    assert (quote.deliver_probability, quote.rate_hz) == (0.0, 0.0)
    lease = desk.reserve(quote.quote_id)
    desk.advance(30.0)
    assert desk.poll(lease) == []

"""The compiled loop does what the reference does, event by event and number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")

from policies.envs.entanglement import faults, reference
from policies.envs.entanglement import state as st
from policies.envs.entanglement.episode import Episode, build
from policies.envs.entanglement.play import Run, advance, begin, play
from policies.envs.entanglement.setting import EntanglementSetting

SMALL = EntanglementSetting(num_nodes=20, duration_s=40.0, offered_hz=4.0, topology_seed=5, demand_seed=6)
HARD = SMALL.but(hop_delay_s=0.3, most_rounds=2, job_hz=0.05, swap_success=0.7, memories=6, cutoff_s=3.0, share_s=0.6)


def net(num_features: int, hidden: tuple[int, int], agents: int, seed: int = 1) -> st.Head:
    chance = np.random.default_rng(seed)
    return st.head_of(*(chance.normal(0.0, 0.4, each.shape) for each in st.head(num_features, hidden, agents)[:6]))


def rules(episode: Episode) -> dict[str, st.Rule]:
    learned: dict[str, Any] = {
        "path_head": net(14, (6, 5), 1),
        "share_head": net(9, (4, 0), episode.topology.num_nodes),
    }
    pull = st.hand_pulls() + np.random.default_rng(3).normal(0.0, 0.5, st.NUM_PULLS)
    forecast = np.random.default_rng(2).random((30, episode.topology.num_links))
    return {
        **{name: st.local(name) for name in st.LOCALS},
        "held back": st.local("local", hold=3, forecast=forecast, announced=forecast),
        "announced": st.local("local", announced=forecast[:20]),
        "greedy net": st.rule(st.SCORING, st.S_LEARNED, **learned),
        "pulls": st.rule(st.LOCAL, st.S_PULL, pull=pull),
        "drawing net": st.rule(st.SCORING, st.S_LEARNED, greedy=False, noise=0.3, **learned),
    }


def events(run: Run) -> list[tuple[int, int, int, int, float]]:
    return [
        (*whole, value)
        for rows, values in run.traced
        for whole, value in zip(rows.tolist(), values.tolist(), strict=True)
    ]


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("name", [*st.LOCALS, "held back", "announced", "greedy net", "pulls", "drawing net"])
def test_it_is_the_reference(name: str, hard: bool) -> None:
    episode = build(HARD if hard else SMALL)
    if hard:
        out = faults.draw(episode.topology, SMALL.num_slots, 3, links=0.3, nodes=0.2, joins=0.1)
        episode = build(HARD, faults=out)
    rule = rules(episode)[name]
    run, slow = play(episode, rule, trace=True), reference.simulate(episode, rule)
    assert events(run) == slow.events
    assert len({kind for _, _, kind, _, _ in slow.events}) >= 5
    assert run.state.tally.tolist() == slow.tally
    assert run.state.status.tolist() == slow.status
    assert run.state.harmed.tolist() == slow.harmed
    assert run.state.fidelity.tolist() == slow.fidelity
    assert run.state.shares.tolist() == slow.shares.tolist()
    assert run.state.queue.tolist() == slow.decider.queue


def test_decisions_from_outside_are_taken() -> None:
    episode = build(HARD)
    wanted = np.random.default_rng(0).integers(-1, 12, (8, episode.requests.num))
    wanted[wanted == 11] = 0  # straight away, so that much is delivered
    run = begin(episode, trace=True)
    for choice in wanted:
        advance(run, run.slot + 25, choice=choice)
    slow = reference.simulate(episode, st.rule(), lambda slot, number: int(wanted[slot // 25, number]))
    assert events(run) == slow.events
    assert slow.tally[st.PURIFIED] > 0


def test_chunks_make_no_difference() -> None:
    episode = build(SMALL)
    whole, parts = play(episode, st.local("local")), begin(episode, st.local("local"))
    while parts.slot < parts.num_slots:
        advance(parts, parts.slot + 7)
    for one, other in zip(whole.state, parts.state, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_pair_of_a_link_is_accounted_for() -> None:
    episode = build(HARD, faults=faults.draw(build(HARD).topology, HARD.num_slots, 3, links=0.3, nodes=0.2))
    run = play(episode, st.local("local"))
    tally = run.state.tally
    assert tally[st.MADE] == tally[st.OVERFLOWN : st.LOST + 1].sum() + run.state.stock.sum()


def test_more_rate_makes_no_fewer_pairs_with_the_same_luck() -> None:
    episode = build(SMALL)
    quiet = build(SMALL.but(offered_hz=0.0))
    made = [int(play(each, st.local("static")).state.tally[st.MADE]) for each in (episode, quiet)]
    assert made[0] == made[1]  # luck of links does not depend on requests


def test_room_for_pulls_makes_no_difference() -> None:
    rule = rules(build(SMALL))["pulls"]
    whole, parts = play(build(SMALL), rule), begin(build(SMALL), rule)
    rows, room = parts.state.pulled.shape[0], parts.plan.links.shape[2]
    assert whole.state.pulled.shape[1] > room
    parts.state = parts.state._replace(pulled=np.zeros((rows, room)))
    advance(parts, parts.num_slots)
    assert parts.state.shares.tolist() == whole.state.shares.tolist()
    assert parts.state.status.tolist() == whole.state.status.tolist()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shares_by_any_pulls_are_shares(seed: int) -> None:
    episode = build(HARD, faults=faults.draw(build(HARD).topology, HARD.num_slots, 3, links=0.3, nodes=0.2))
    wild = np.random.default_rng(seed).normal(0.0, 30.0, st.NUM_PULLS)
    run = play(episode, st.rule(st.LOCAL, st.S_PULL, pull=wild), record=1)
    shares = run.state.share_log[: run.state.count[st.NUM_SHARES]]
    assert np.isfinite(shares).all()
    assert (shares >= 0.0).all()
    sums = np.add.reduceat(shares, episode.topology.first[:-1], axis=1)
    assert np.allclose(sums[:, np.diff(episode.topology.first) > 0], 1.0)

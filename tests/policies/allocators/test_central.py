"""Central controllers: how old their news are, what is in force when, and that nobody beats the fluid bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba", reason='pip install "qorch[sparse]"')

from circuits.errors import InvalidParameter
from policies.allocators import central, traffic
from policies.allocators.central import STYLES, Decision, Known, Style, control, hop_delay_s, observe
from policies.allocators.contenders import CONTENDERS, contender
from policies.allocators.fluid_lp import load_unit_of, most_delivered
from policies.envs.entanglement import play, state
from policies.envs.entanglement.demand import Jobs
from policies.envs.entanglement.episode import Episode, build
from policies.envs.entanglement.faults import Fault, Faults
from policies.envs.entanglement.metrics import metrics
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.topology import Topology

SMALL = EntanglementSetting(num_nodes=20, topology_seed=1, demand_seed=1, duration_s=40.0, offered_hz=6.0)
NEVER_S = 1000.0


@pytest.fixture(scope="module")
def episode() -> Episode:
    return build(SMALL)


def same(one: play.Run, other: play.Run) -> bool:
    return bool((one.state.done_slot == other.state.done_slot).all() and (one.state.tally == other.state.tally).all())


@pytest.mark.parametrize(("delay_s", "period_s"), [(0.0, 0.2), (0.0, 5.0), (0.4, 0.2), (1.0, 5.0), (7.0, 2.0)])
def test_what_is_in_force_is_between_two_delays_and_two_delays_and_a_period_old(
    episode: Episode, monkeypatch: pytest.MonkeyPatch, delay_s: float, period_s: float
) -> None:
    known_at: list[int] = []

    def start(run: play.Run) -> central.Decide:
        def decide(known: Known) -> Decision:
            assert known.slot == run.slot
            known_at.append(known.slot)
            return Decision(known.pending, np.zeros(known.pending.size, dtype=np.int64))

        return decide

    monkeypatch.setitem(STYLES, "watched", Style(start))
    found = control(episode, "watched", delay_s=delay_s, period_s=period_s)
    delay, period = round(delay_s / 0.2), round(period_s / 0.2)
    news, force = found.told.T
    assert news.tolist() == known_at
    assert (force - news == 2 * delay).all()
    assert (np.diff(news) == period).all()
    assert ((news + delay) % period == 0).all()  # ticks of the controller's clock
    assert 0 <= news[0] < period
    oldest = np.append(force[1:], force[-1] + period) - news
    assert (oldest == 2 * delay + period).all()
    assert found.solve_s.size == news.size


def test_decisions_count_when_they_are_heard_and_not_before(episode: Episode, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(run: play.Run) -> central.Decide:
        return lambda known: Decision(known.pending, np.zeros(known.pending.size, dtype=np.int64))

    monkeypatch.setitem(STYLES, "watched", Style(start, until_told=state.WAIT))
    found = control(episode, "watched", delay_s=0.6, period_s=2.0, record=1)
    rows = found.run.state.decisions[: found.run.state.count[state.NUM_DECISIONS]]
    assert rows.size
    assert set(rows[:, state.D_SLOT]) <= set(found.told[:, 1])
    arrived = episode.requests.arrival_slot[rows[:, state.D_REQUEST]]
    assert (rows[:, state.D_SLOT] - arrived >= 6).all()  # two delays of three slots


def test_what_is_known_is_a_copy(episode: Episode) -> None:
    run = play.advance(play.begin(episode, state.rule(state.SHORTEST, state.S_LOCAL)), 50)
    known = observe(run)
    before = [np.copy(each) for each in known]
    play.advance(run, 120)
    assert all((np.asarray(now) == then).all() for now, then in zip(known, before, strict=True))


@pytest.mark.parametrize(
    ("style", "path", "share"),
    [
        ("central_full", state.SHORTEST, state.S_UNIFORM),
        ("central_hybrid", state.SHORTEST, state.S_LOCAL),
        ("central_static", state.SHORTEST, state.S_UNIFORM),
    ],
)
def test_a_centre_that_is_never_heard_leaves_what_there_is_without_it(
    episode: Episode, style: str, path: int, share: int
) -> None:
    assert same(control(episode, style, delay_s=NEVER_S).run, play.play(episode, state.rule(path, share)))


def test_without_a_grant_nobody_is_served(episode: Episode) -> None:
    assert metrics(control(episode, "central_grant", delay_s=NEVER_S).run).num_delivered == 0
    assert metrics(control(episode, "central_grant", period_s=0.2).run).num_delivered > 0


def test_nobody_blocks_anybody_under_the_oracle_and_its_delay_does_not_count(episode: Episode) -> None:
    once = control(episode, "greedy_oracle")
    assert once.run.state.tally[state.PROBES] > 0
    assert once.run.state.tally[state.BLOCKED] == 0
    assert same(once.run, control(episode, "greedy_oracle", delay_s=5.0, period_s=10.0).run)


def test_a_fresh_centre_sets_shares_as_nodes_do_themselves(episode: Episode) -> None:
    each_slot = replace(episode, setting=SMALL.but(share_s=SMALL.slot_s))
    full, hybrid = (
        control(each_slot, style, period_s=SMALL.slot_s).run for style in ("central_full", "central_hybrid")
    )
    assert full.state.shares == pytest.approx(hybrid.state.shares, rel=5e-3)  # but for requests of slot 0
    assert metrics(full).num_delivered == pytest.approx(metrics(hybrid).num_delivered, rel=0.02)


def test_old_news_cost_deliveries() -> None:
    busy = build(SMALL.but(num_nodes=60, offered_hz=10.0, duration_s=100.0))
    fresh, old = (metrics(control(busy, "central_full", period_s=each).run).delivery for each in (0.2, 10.0))
    assert fresh > 1.1 * old


def test_back_off_trades_deliveries_for_contention(episode: Episode) -> None:
    for name in ("local", "central_full"):
        one, five = (metrics(contender(name).play(episode, 0.0, 0.2, hold)[0]) for hold in (1, 5))
        assert five.contention_literal < one.contention_literal


def test_a_controller_that_is_out_says_nothing(episode: Episode) -> None:
    broken = replace(episode, faults=Faults((Fault(50, 150, "controller"),)))
    told = control(broken, "central_full", delay_s=0.4, period_s=1.0).told
    ticks = told[:, 0] + 2
    assert not ((ticks >= 50) & (ticks < 150)).any()
    assert (ticks >= 150).any()


def test_the_fluid_bound_is_not_exceeded_by_anybody() -> None:
    setting = SMALL.but(offered_hz=40.0, coherence_s=1e6, cutoff_s=1e3, memories=64, deadline_s=30.0)
    episodes = [build(setting.but(physics_seed=seed)) for seed in range(3)]
    bound = most_delivered(episodes[0])
    assert bound < 0.8 * (episodes[0].requests.deadline_slot <= setting.num_slots).sum()  # so that it says something
    best = 0.0
    for name, each in CONTENDERS.items():
        served = [metrics(each.play(one, 0.0, 1.0, 1)[0]).num_delivered for one in episodes]
        best = max(best, float(np.mean(served)))
        assert np.mean(served) <= bound, name
    assert best > 0.3 * bound  # and is not idle


def test_the_bound_of_a_link_by_hand() -> None:
    zeros, one = np.zeros(2), np.ones(1)
    link = Topology(zeros, zeros, np.array([1.0, 2.0]), zeros, np.array([[0, 1]]), 0.0 * one, 0.98 * one)
    setting = SMALL.but(num_nodes=2, offered_hz=50.0, duration_s=100.0, deadline_s=20.0)
    alone = build(setting, topology=link)
    assert most_delivered(alone) == pytest.approx(300.0)  # 3 pairs a second for 100 s
    lucky = [build(setting.but(physics_seed=seed), topology=link) for seed in range(20)]
    served = [metrics(contender("static").play(each, 0.0, 1.0, 1)[0]).num_delivered for each in lucky]
    assert max(served) > 300  # by luck of the Poisson kind, sqrt(300); the bound is the mean's, and here it is reached
    assert np.mean(served) == pytest.approx(300.0, abs=2.0 * np.sqrt(300.0 / 20.0))
    assert most_delivered(build(setting.but(offered_hz=0.0), topology=link)) == 0.0


def test_load_one_is_the_demands_own() -> None:
    topology = Topology.generate("rgg", 20, 1)
    units = [load_unit_of(SMALL.but(offered_hz=each), topology) for each in (1.0, 30.0)]
    assert units[0] == pytest.approx(units[1])
    assert units[0] > 0.0


def ring(swaps_hz: float) -> Episode:
    """One pair of nodes, two ways round: over node 1, or over node 3 that swaps so often."""
    zeros, four = np.zeros(4), np.ones(4)
    made, swaps = np.full(4, 4.0), np.array([9.0, 9.0, 9.0, swaps_hz])
    topology = Topology(zeros, zeros, made, swaps, np.array([[0, 1], [0, 3], [1, 2], [2, 3]]), 0.0 * four, 0.98 * four)
    setting = SMALL.but(num_nodes=4, offered_hz=8.0, duration_s=200.0, num_paths=2)
    drawn = build(setting, topology=topology)
    none = np.zeros(0, dtype=np.int64)
    one = np.zeros(1, dtype=np.int64)
    demand = replace(
        drawn.demand, source=one, target=one + 2, weight=np.ones(1), region=one, jobs=Jobs(none, none, none, none, none)
    )
    requests = replace(drawn.requests, pair=np.zeros(drawn.requests.num, dtype=np.int64))
    return build(setting, topology=topology, demand=demand, requests=requests)


@pytest.mark.parametrize(("swaps_hz", "most"), [(9.0, 0.7), (0.5, 0.25)])
def test_traffic_is_split_as_the_network_can_carry_it(swaps_hz: float, most: float) -> None:
    round_three = ring(swaps_hz)
    weak = int(np.flatnonzero((round_three.paths.nodes[0] == 3).any(axis=1))[0])
    found = control(round_three, "te", period_s=20.0)
    later = round_three.requests.arrival_slot > 200
    share = float((found.run.state.wanted[later] == weak).mean())
    assert share < most
    if swaps_hz == 9.0:
        assert share > 0.3


def test_primal_dual_leaves_out_who_cannot_swap_and_its_shares_are_shares() -> None:
    for swaps_hz, low, high in ((9.0, 0.3, 0.7), (0.0, 0.0, 0.0)):
        around = ring(swaps_hz)
        weak = int(np.flatnonzero((around.paths.nodes[0] == 3).any(axis=1))[0])
        found = control(around, "qprimaldual", period_s=20.0)
        later = around.requests.arrival_slot > 200
        assert low <= (found.run.state.wanted[later] == weak).mean() <= high
        assert np.add.reduceat(found.run.state.shares, around.topology.first[:-1]) == pytest.approx(np.ones(4))


def test_estimates_look_at_nothing_later(episode: Episode) -> None:
    run = play.begin(episode)
    before = traffic.usual_hz(run, 100)
    late = episode.requests.arrival_slot >= 100
    other = replace(episode.requests, pair=np.where(late, 0, episode.requests.pair))
    assert (traffic.usual_hz(play.begin(replace(episode, requests=other)), 100) == before).all()
    assert traffic.usual_hz(run, 200).sum() == pytest.approx(6.0, rel=0.5)


def test_hops_share_the_delay_to_the_centre() -> None:
    zeros = np.zeros(3)
    chain = Topology(zeros, zeros, zeros, zeros, np.array([[0, 1], [1, 2]]), np.ones(2), np.ones(2))
    assert hop_delay_s(chain, 1.0) == pytest.approx(1.5)  # the middle is 2/3 of a hop away in the mean


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("style", {"style": "nobody"}),
        ("delay_s", {"style": "central_full", "delay_s": -1.0}),
        ("period_s", {"style": "central_full", "period_s": 0.1}),
        ("period_s", {"style": "central_full", "period_s": float("nan")}),
        ("hold", {"style": "central_full", "hold": 0}),
    ],
)
def test_what_no_controller_can_be_is_refused_by_name(episode: Episode, name: str, told: dict[str, object]) -> None:
    with pytest.raises(InvalidParameter, match=f"^{name}:"):
        control(episode, **told)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match=r"^policy:"):
        contender("nobody")

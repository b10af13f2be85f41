"""Pairs behave as quantum mechanics and queueing have them: density matrices, circuits, closed forms."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st_
from scipy import stats

pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")

from policies.envs.entanglement import physics, streams
from policies.envs.entanglement import state as st
from policies.envs.entanglement.demand import Requests, asking
from policies.envs.entanglement.episode import Episode, build
from policies.envs.entanglement.metrics import metrics
from policies.envs.entanglement.play import play
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.topology import Topology
from policies.envs.qnum import werner

BELL = np.zeros((4, 4))
BELL[np.ix_((0, 3), (0, 3))] = 0.5


def mixed(w: float) -> np.ndarray:
    return w * BELL + (1.0 - w) * np.eye(4) / 4.0


def bell_basis() -> list[np.ndarray]:
    root = math.sqrt(0.5)
    return [root * np.array(each) for each in ((1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, 1, -1, 0))]


PAULIS = (np.eye(2), np.diag([1, -1]), np.array([[0, 1], [1, 0]]), np.array([[0, 1], [-1, 0]]))


@given(one=st_.floats(0.0, 1.0), other=st_.floats(0.0, 1.0))
def test_a_swap_of_density_matrices_is_the_product(one: float, other: float) -> None:
    state = np.kron(mixed(one), mixed(other)).reshape([2] * 8)  # qubits a b c d; b and c are measured
    out = np.zeros((4, 4))
    for vector, pauli in zip(bell_basis(), PAULIS, strict=True):
        v = vector.reshape(2, 2)
        kept = np.einsum("bc,abcdwxyz,xy->adwz", v, state, v).reshape(4, 4)
        fix = np.kron(np.eye(2), pauli)
        out += fix @ kept @ fix.T
    assert np.abs(out - mixed(physics.end_to_end([one, other], 1.0))).max() < 1e-12


@given(one=st_.floats(0.25, 1.0), other=st_.floats(0.25, 1.0))
def test_purification_is_that_of_the_circuit(one: float, other: float) -> None:
    def cnot(control: int, target: int) -> np.ndarray:
        gate = np.zeros((16, 16))
        for bits in range(16):
            flip = (bits >> (3 - control)) & 1
            gate[bits ^ (flip << (3 - target)), bits] = 1.0
        return gate

    state = np.kron(mixed(werner.werner(one)), mixed(werner.werner(other)))  # a0 b0 a1 b1
    gate = cnot(0, 2) @ cnot(1, 3)
    after = (gate @ state @ gate.T).reshape([4] * 4)
    kept = after[:, 0, :, 0] + after[:, 3, :, 3]  # both measured the same
    fidelity, chance = physics.purified(one, other)
    assert np.trace(kept) == pytest.approx(chance, abs=1e-12)
    assert np.trace(kept @ BELL) / np.trace(kept) == pytest.approx(fidelity, abs=1e-12)


def test_storage_is_that_of_two_memories() -> None:
    setting = EntanglementSetting(coherence_s=3.0)
    given_ = st.plan(build(setting.but(num_nodes=10, duration_s=1.0)))
    lost = math.exp(-given_.decay * 7)
    assert werner.waited(0.9, 7 * setting.slot_s, 2.0 * setting.coherence_s) == pytest.approx(0.9 * lost, rel=1e-12)


def line(rates: Iterable[float], hops: int = 1, fidelity: float = 1.0) -> Topology:
    size = hops + 1
    return Topology(
        x_km=np.arange(size) * 1.0,
        y_km=np.zeros(size),
        generation_hz=np.array(list(rates)),
        swap_hz=np.full(size, 1e6),
        ends=np.stack((np.arange(hops), np.arange(1, size)), axis=1),
        length_km=np.zeros(hops),
        fidelity=np.full(hops, fidelity),
    )


def asked(setting: EntanglementSetting, topology: Topology, times_s: np.ndarray, life_s: float) -> Episode:
    slots = np.sort((times_s / setting.slot_s).astype(np.int64))
    slots = slots[slots < setting.num_slots]
    demand = asking(setting, topology, np.array([0]), np.array([topology.num_nodes - 1]))
    life = np.full(slots.size, round(life_s / setting.slot_s))
    requests = Requests(
        slots, np.zeros_like(slots), np.ones_like(slots), np.full(slots.size, 0.3), slots + life.astype(np.int64)
    )
    return build(setting, topology=topology, demand=demand, requests=requests)


IDEAL = EntanglementSetting(
    *(2, "rgg", 1, 2, 3), swap_success=1.0, swap_visibility=1.0, coherence_s=1e9, cutoff_s=1e8, memories=64
)


def test_one_hop_delivers_what_its_two_ends_make() -> None:
    setting = IDEAL.but(duration_s=2000.0)
    episode = asked(setting, line([1.5, 1.0]), np.arange(0.0, 2000.0, 0.2), 1e5)  # five requests a second
    run = play(episode, st.rule(st.SHORTEST, st.S_UNIFORM))
    delivered = int((run.state.status == st.DELIVERED).sum())
    assert delivered == pytest.approx(2.5 * 2000.0, abs=4.0 * math.sqrt(2.5 * 2000.0))
    assert delivered == run.state.tally[st.MADE] - run.state.stock.sum() - run.state.tally[st.OVERFLOWN]


def test_more_pairs_than_requests_serve_them_all_at_once() -> None:
    setting = IDEAL.but(duration_s=200.0)
    episode = asked(setting, line([50.0, 50.0]), np.arange(0.0, 200.0, 1.0), 5.0)
    found = metrics(play(episode, st.rule(st.SHORTEST, st.S_UNIFORM)))
    assert found.delivery > 0.99
    assert found.latency_mean_s == pytest.approx(setting.slot_s)
    assert found.fidelity == pytest.approx(1.0)


def test_a_link_that_keeps_no_pair_is_a_queue_of_poisson_requests_and_services() -> None:
    """M/M/1: requests 0.4/s, pairs 1/s that only those who wait can use; mean time in the system is 1/(1 - 0.4)."""
    setting = IDEAL.but(duration_s=60_000.0, slot_s=0.05, memories=1, cutoff_s=0.05)
    chance = np.random.default_rng(7)
    times = np.cumsum(chance.exponential(1.0 / 0.4, 30_000))
    episode = asked(setting, line([0.5, 0.5]), times, 1e4)
    run = play(episode, st.rule(st.SHORTEST, st.S_UNIFORM))
    done = run.state.status == st.DELIVERED
    mean_s = ((run.state.done_slot - run.plan.arrival)[done] * setting.slot_s).mean()
    assert mean_s == pytest.approx(1.0 / 0.6, rel=0.08)  # slots of 0.05 s and a kept pair's second slot take a part


def test_fidelity_falls_with_hops_as_the_product_of_links_and_swaps() -> None:
    setting = IDEAL.but(duration_s=50.0, swap_visibility=0.98)
    episode = asked(setting, line([90.0] * 4, 3, 0.97), np.arange(0.0, 50.0, 1.0), 5.0)
    found = metrics(play(episode, st.rule(st.SHORTEST, st.S_UNIFORM)))
    w = physics.end_to_end([werner.werner(0.97)] * 3, 0.98)
    assert found.fidelity == pytest.approx(werner.fidelity(w), abs=1e-6)


def test_swaps_succeed_as_often_as_they_should() -> None:
    setting = IDEAL.but(duration_s=1000.0, swap_success=0.7)
    episode = asked(setting, line([90.0] * 3, 2), np.arange(0.0, 1000.0, 0.4), 1.0)
    tally = play(episode, st.rule(st.SHORTEST, st.S_UNIFORM)).state.tally
    tries = (tally[st.USED] + tally[st.BURNT]) / 2
    assert tally[st.USED] / 2 / tries == pytest.approx(0.7, abs=4.0 * math.sqrt(0.21 / tries))


def test_purified_links_are_worth_their_pairs() -> None:
    setting = IDEAL.but(duration_s=200.0, most_rounds=1)
    topology = line([90.0] * 3, 2, 0.9)
    episode = asked(setting, topology, np.arange(0.0, 200.0, 0.4), 1.0)
    strict = Requests(**{**vars(episode.requests), "min_fidelity": np.full(episode.requests.num, 0.84)})
    run = play(build(setting, topology=topology, demand=episode.demand, requests=strict), st.local("shortest"))
    link, chance = physics.purified(0.9, 0.9)
    w = physics.end_to_end([werner.werner(link)] * 2, 1.0)
    assert werner.fidelity(werner.werner(0.9) ** 2) < 0.84 < metrics(run).fidelity
    assert metrics(run).fidelity == pytest.approx(werner.fidelity(w), abs=1e-9)
    tries = run.state.tally[st.PURIFIED] / 2
    assert run.state.tally[st.USED] / 2 / tries == pytest.approx(chance**2, abs=4.0 * math.sqrt(0.25 / tries))


def test_streams_are_uniform_and_do_not_know_of_each_other() -> None:
    keys = [streams.key(5, purpose) for purpose in range(streams.NUM_STREAMS)]
    grid = np.stack([streams.uniforms(keys[0], slot, np.arange(200)) for slot in range(200)])
    assert stats.kstest(grid.reshape(-1), "uniform").pvalue > 1e-3
    for other in (grid[:, 1:], grid[1:], np.stack([streams.uniforms(keys[1], s, np.arange(200)) for s in range(200)])):
        mine = grid[: other.shape[0], : other.shape[1]]
        assert abs(np.corrcoef(mine.reshape(-1), other.reshape(-1))[0, 1]) < 4.0 / 200.0
    assert len({int(each) for each in keys}) == streams.NUM_STREAMS

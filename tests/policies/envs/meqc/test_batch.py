"""Thousands of slots at once cost what each costs alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.envs.contract import Action
from policies.envs.meqc.batch import Slots, remote, settle
from policies.envs.meqc.cost import evaluate
from policies.envs.meqc.instance import Instance
from policies.envs.meqc.model import Model
from tests.policies.envs.meqc.cases import READINGS, drawn, played


def batch(instance: Instance, servers: list[int], shares: list[float]) -> tuple[object, Action]:
    return Slots.stacked([instance]), Action(torch.tensor([servers]), torch.tensor([shares], dtype=torch.float64))


@pytest.mark.parametrize("reading", READINGS)
def test_a_batch_is_the_reference(reading: str) -> None:
    model = READINGS[reading]

    @settings(max_examples=25, deadline=None)
    @given(slot=played())
    def check(slot: tuple[Instance, list[int], list[float]]) -> None:
        wanted = evaluate(model, *slot).users
        outcome = settle(model, *batch(*slot))
        assert outcome.cost[0].tolist() == pytest.approx([user.cost for user in wanted], rel=1e-9)
        assert outcome.on_qpu[0].tolist() == [user.on_qpu for user in wanted]
        costs = slot[0].delay_weight * outcome.delay_s[0].numpy() + slot[0].energy_weight * outcome.energy_j[0].numpy()
        assert costs.tolist() == pytest.approx(outcome.cost[0].tolist(), rel=1e-9)

    check()


@pytest.mark.parametrize("reading", READINGS)
def test_pairs_are_what_the_chosen_server_gives(reading: str) -> None:
    slots = Slots.stacked([drawn(seed, 5, 4) for seed in range(20)])
    servers = torch.randint(4, (20, 5), generator=torch.Generator().manual_seed(1))
    chosen, all_pairs = remote(READINGS[reading], slots, servers), remote(READINGS[reading], slots)
    for name, values in vars(chosen).items():
        pairs = getattr(all_pairs, name).expand(20, 5, 4)
        assert torch.equal(pairs.gather(2, servers.unsqueeze(-1)).squeeze(-1), values), name


@settings(max_examples=20, deadline=None)
@given(slot=played(), single=st.booleans())
def test_who_does_not_ask_gets_no_qpu(slot: tuple[Instance, list[int], list[float]], single: bool) -> None:
    slots, action = batch(*slot)
    nobody = torch.zeros_like(action.servers, dtype=torch.bool)
    if single:
        nobody[0, 0] = True
    outcome = settle(Model(), slots, replace(action, asks=nobody))
    fits = evaluate(Model(), *slot).users[0]
    assert outcome.on_qpu.sum() == (single and fits.fits and fits.share < 1.0)


def test_a_qpu_that_is_held_takes_nobody() -> None:
    slots = Slots.stacked([drawn(1, 4, 2)])
    held = replace(slots, ready=torch.tensor([[1.0, 0.0]], dtype=torch.float64))
    for server, takes in ((0, True), (1, False)):
        everybody = Action(torch.full((1, 4), server), torch.zeros(1, 4, dtype=torch.float64))
        assert bool(settle(Model(), slots, everybody).on_qpu.any())
        assert bool(settle(Model(), held, everybody).on_qpu.any()) is takes


def test_worse_qubits_are_those_of_a_shorter_decay_time() -> None:
    plain = Slots.stacked([drawn(seed, 6, 3) for seed in range(50)])
    for ratio in (1.3, 1.7, 4.0):
        slots = replace(plain, error_ratio=torch.full((50, 3), ratio, dtype=torch.float64))
        cold = replace(Model().cryogenics, decay_time_s=Model().cryogenics.decay_time_s / ratio)
        fits = remote(Model(), slots).fits
        assert torch.equal(fits, remote(Model(cryogenics=cold), plain).fits)
        assert not torch.equal(fits, remote(Model(), plain).fits)


def test_of_two_alike_the_first_is_taken() -> None:
    one = replace(drawn(3, 1, 1), level=np.array([2]))
    rows = vars(one)
    same = replace(one, **{name: rows[name].repeat(2, 0) for name in rows if name not in ("level", "qubits")})
    assert [user.on_qpu for user in evaluate(Model(), same, [0, 0], [0.0, 0.0]).users] == [True, False]
    assert settle(Model(), *batch(same, [0, 0], [0.0, 0.0])).on_qpu.tolist() == [[True, False]]


def test_repeated_slots_stand_one_after_the_other() -> None:
    twice = Slots.stacked([drawn(1), drawn(2)]).repeated(2)
    assert torch.equal(twice.gain, Slots.stacked([drawn(1), drawn(1), drawn(2), drawn(2)]).gain)
    assert twice.ready is None

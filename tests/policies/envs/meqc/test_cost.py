"""What must be true of costs whatever the slot, the action and the reading."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.errors import InvalidParameter
from policies.envs.meqc.cost import evaluate
from policies.envs.meqc.instance import Instance
from policies.envs.meqc.model import MODES, Model
from tests.policies.envs.meqc.cases import drawn, played, readings

Played = tuple[Instance, list[int], list[float]]


def reordered(instance: Instance, order: list[int]) -> Instance:
    rows = {name: getattr(instance, name) for name in vars(instance)}
    return Instance(**{name: rows[name] if name in ("level", "qubits") else rows[name][order] for name in rows})


@settings(max_examples=40, deadline=None)
@given(slot=played(), share=st.floats(0.0, 0.99))
def test_each_way_is_linear_in_the_share(slot: Played, share: float) -> None:
    instance, servers, shares = slot

    def ways(own: float) -> tuple[float, float]:
        terms = evaluate(Model(), instance, servers, [own, *shares[1:]]).users[0]
        return terms.cost_with_cpu, terms.cost_with_qpu

    for none, some, whole in zip(ways(0.0), ways(share), ways(1.0), strict=True):
        assert some == pytest.approx((1.0 - share) * none + share * whole, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(slot=played(), model=readings)
def test_who_stays_local_does_not_care_about_servers(slot: Played, model: Model) -> None:
    instance, servers, shares = slot
    costs = {
        evaluate(model, instance, [server, *servers[1:]], [1.0, *shares[1:]]).total
        for server in range(instance.num_servers)
    }
    assert len(costs) == 1


@settings(max_examples=40, deadline=None)
@given(slot=played(), model=st.sampled_from([MODES["calibrated"], MODES["physical"]]), chance=st.randoms())
def test_the_order_of_users_does_not_matter(slot: Played, model: Model, chance: object) -> None:
    instance, servers, shares = slot
    order = list(range(instance.num_users))
    chance.shuffle(order)
    total = evaluate(model, instance, servers, shares).total
    again = evaluate(model, reordered(instance, order), [servers[at] for at in order], [shares[at] for at in order])
    assert again.total == pytest.approx(total, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(slot=played(), model=readings)
def test_a_qpu_takes_one_user_at_most_and_only_one_that_fits(slot: Played, model: Model) -> None:
    taken = [user for user in evaluate(model, *slot).users if user.on_qpu]
    assert len({user.server for user in taken}) == len(taken), "eq. (13b)"
    for user in taken:
        assert user.fits
        assert user.share < 1.0
        assert user.success >= model.least_success
        assert model.qpu_use == "forced" or user.saving > 0.0


@settings(max_examples=40, deadline=None)
@given(slot=played())
def test_forced_use_leaves_no_qpu_idle_that_somebody_fits(slot: Played) -> None:
    users = evaluate(Model(), *slot).users
    wanted = {user.server for user in users if user.fits and user.share < 1.0}
    assert wanted == {user.server for user in users if user.on_qpu}


@settings(max_examples=40, deadline=None)
@given(slot=played())
def test_declining_never_costs_more_than_being_forced(slot: Played) -> None:
    forced = evaluate(Model(), *slot).total
    assert evaluate(Model(qpu_use="economic"), *slot).total <= forced * (1 + 1e-12)


@settings(max_examples=40, deadline=None)
@given(slot=played())
def test_working_at_the_same_time_never_takes_longer(slot: Played) -> None:
    model = Model(qpu_use="economic", overlap="max")
    assert evaluate(model, *slot).total <= evaluate(replace(model, overlap="sum"), *slot).total * (1 + 1e-9)


def test_a_shared_channel_is_as_slow_as_it_is_crowded() -> None:
    instance = drawn(1, users=3, servers=2)
    users = evaluate(Model(bandwidth="shared"), instance, [0, 0, 0], [0.0, 0.5, 1.0]).users
    alone = evaluate(Model(), instance, [0, 0, 0], [0.0, 0.5, 1.0]).users
    assert [one.rate_bps / other.rate_bps for one, other in zip(users, alone, strict=True)] == [0.5] * 3


def test_the_cheapest_level_that_succeeds_is_chosen() -> None:
    instance = replace(drawn(1, users=1, servers=1), num_qubits=np.array([26]), depth=np.array([6460]))
    auto = evaluate(Model(concatenation="auto"), instance, [0], [0.0]).users[0]
    second = evaluate(Model(concatenation="2"), instance, [0], [0.0]).users[0]
    assert not evaluate(Model(concatenation="1"), instance, [0], [0.0]).users[0].fits
    assert auto.fits
    assert (auto.qpu_s, auto.qpu_j) == (second.qpu_s, second.qpu_j)


@pytest.mark.parametrize(
    ("servers", "shares", "named"),
    [
        ([0], [0.5, 0.5, 0.5], "a: wanted 3"),
        ([0, 1, 1], [0.5], "phi: wanted 3"),
        ([0, 1, 2], [0.5, 0.5, 0.5], "a: wanted integers in"),
        ([0, -1, 1], [0.5, 0.5, 0.5], "a: wanted integers in"),
        ([0, True, 1], [0.5, 0.5, 0.5], "a: wanted integers in"),
        ([0, 1, 1], [0.5, 1.5, 0.5], "phi: wanted numbers in"),
        ([0, 1, 1], [0.5, float("nan"), 0.5], "phi: wanted numbers in"),
    ],
)
def test_an_action_that_makes_no_sense_is_refused(servers: list, shares: list, named: str) -> None:
    with pytest.raises(InvalidParameter, match=named):
        evaluate(Model(), drawn(1), servers, shares)

"""Marginal costs and features: closed forms against the settled slots they stand for."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason='pip install "qorch[learn]"')

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from policies.envs.contract import Action  # noqa: E402
from policies.envs.meqc.baselines import priced  # noqa: E402
from policies.envs.meqc.batch import Slots, settle  # noqa: E402
from policies.envs.meqc.draw import draw_slots  # noqa: E402
from policies.envs.meqc.instance import CIRCUITS  # noqa: E402
from policies.envs.meqc.model import MODES, Model  # noqa: E402
from policies.envs.meqc.observation import observe, slots_of  # noqa: E402
from policies.envs.meqc.world import Setting  # noqa: E402
from policies.learners.kit.features import features  # noqa: E402
from policies.learners.kit.marginals import NOBODY, marginals, rivals, told  # noqa: E402


def drawn(shape: tuple[int, int, int], seed: int) -> tuple[Slots, Action]:
    chance = torch.Generator().manual_seed(seed)
    slots = draw_slots(chance, shape, None, torch.float64)
    servers = torch.randint(shape[2], shape[:2], generator=chance)
    return slots, Action(servers, torch.randint(2, shape[:2], generator=chance).double())


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 10**6), st.sampled_from(["forced", "economic"]))
def test_marginals_are_differences_of_settled_costs(users: int, servers: int, seed: int, use: str) -> None:
    model = Model(qpu_use=use)
    slots, now = drawn((3, users, servers), seed)
    added = marginals(model, slots, now)
    settled = marginals(model, slots, now, torch.zeros_like(slots.gain))  # with shares given, all is settled
    scale = settle(model, slots, now).cost.sum() + added.abs().max()
    torch.testing.assert_close(
        (added - added[..., :1]) / scale, (settled - settled[..., :1]) / scale, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("mode", list(MODES))
def test_the_choice_that_was_made_costs_what_was_settled(mode: str) -> None:
    slots, now = drawn((4, 5, 3), 1)
    total = settle(MODES[mode], slots, now).cost.sum(-1)
    made = torch.where(now.shares < 1.0, now.servers + 1, 0)
    settled = marginals(MODES[mode], slots, now, torch.zeros_like(slots.gain))
    assert torch.allclose(settled.gather(-1, made.unsqueeze(-1)).squeeze(-1), total.unsqueeze(-1), rtol=1e-12)


def test_gradients_reach_shares() -> None:
    slots, now = drawn((2, 3, 2), 2)
    kept = torch.full_like(slots.gain, 0.3).requires_grad_()
    marginals(MODES["physical"], slots, now, kept).sum().backward()
    assert kept.grad is not None
    assert (kept.grad != 0).all()


def test_a_rival_is_never_oneself_and_nobody_is_there_before_the_first_round() -> None:
    model = MODES["calibrated"]
    slots, _ = drawn((4, 1, 3), 3)
    known = priced(model, slots)
    alone = Action(torch.zeros(4, 1, dtype=torch.long), torch.zeros(4, 1))
    assert (rivals(known, alone) == NOBODY).all()
    said = told(known, None)
    assert (said.rival == NOBODY).all()
    assert not said.here.any()
    assert (said.others == 0).all()


@pytest.mark.parametrize("circuits", list(CIRCUITS))
@pytest.mark.parametrize("mode", list(MODES))
def test_an_observation_holds_everything_that_costs_depend_on(mode: str, circuits: str) -> None:
    setting = Setting(users=4, servers=3, circuits=circuits)
    now, slots = drawn((20, 4, 3), 4)[1], setting.drawn(torch.Generator().manual_seed(4), 20, torch.float64)
    back = slots_of(setting.seen(slots), setting.deepest)
    for name, value in vars(slots).items():
        torch.testing.assert_close(getattr(back, name), value, rtol=1e-12, atol=1e-12, msg=name)
    torch.testing.assert_close(
        settle(MODES[mode], back, now).cost, settle(MODES[mode], slots, now).cost, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("mode", list(MODES))
def test_features_are_finite_and_of_order_one(mode: str) -> None:
    slots, now = drawn((50, 5, 4), 5)
    model = MODES[mode]
    for said in (None, told(priced(model, slots), now, 0.5)):
        known = features(Setting(model=model), observe(slots), said)
        for each in (known.pair, known.user):
            assert each.isfinite().all()
            assert each.abs().max() <= 10.0
        assert ((known.balanced >= 0) & (known.balanced <= 1)).all()

"""The rounds of requests: what they are worth, and what they may not depend on."""

from __future__ import annotations

from dataclasses import fields

import pytest

torch = pytest.importorskip("torch", reason='pip install "qorch[learn]"')

from policies.envs.contract import Action  # noqa: E402
from policies.envs.meqc.baselines import bidding, selfish  # noqa: E402
from policies.envs.meqc.batch import Slots, settle  # noqa: E402
from policies.envs.meqc.draw import draw_slots  # noqa: E402
from policies.envs.meqc.instance import Instance  # noqa: E402
from policies.envs.meqc.model import MODES, Model  # noqa: E402
from policies.envs.meqc.optimum import assignment, prices  # noqa: E402

NO_CHANCE = torch.Generator()


def slots(num_slots: int = 40, num_users: int = 10, num_servers: int = 10) -> Slots:
    return draw_slots(torch.Generator().manual_seed(7), (num_slots, num_users, num_servers), None, torch.float64)


def cost(model: Model, world: Slots, action: Action) -> float:
    return float(settle(model, world, action).cost.sum())


@pytest.mark.parametrize("use", ["forced", "economic"])
@pytest.mark.parametrize("size", [10, 20])
def test_three_rounds_come_within_one_percent_of_the_optimum(use: str, size: int) -> None:
    model, world = Model(qpu_use=use), slots(num_users=size, num_servers=size)
    bound = sum(assignment(prices(model, each))[1] for each in world.unstacked())
    found = cost(model, world, bidding(model, world, NO_CHANCE))
    assert bound * (1.0 - 1e-9) <= found <= 1.01 * bound


def test_without_a_round_it_is_selfish_and_every_round_helps() -> None:
    model, world = MODES["calibrated"], slots(200)
    costs = [cost(model, world, bidding(model, world, NO_CHANCE, rounds=rounds)) for rounds in range(4)]
    assert costs[0] == pytest.approx(cost(model, world, selfish(model, world, NO_CHANCE)))
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("mode", list(MODES))
def test_users_in_another_order_cost_the_same_where_numbers_do_not_matter(mode: str) -> None:
    model, world = MODES[mode], slots()
    turned = Slots(
        **{
            item.name: value if item.name in ("level", "qubits") else value.flip(1)
            for item in fields(Instance)
            for value in (getattr(world, item.name),)
        }
    )
    straight = bidding(model, world, NO_CHANCE)
    if model.qpu_admission == "max_saving":
        again = bidding(model, turned, NO_CHANCE)
        assert torch.equal(again.servers.flip(1), straight.servers)
        assert torch.equal(again.shares.flip(1), straight.shares)
    assert set(straight.shares.unique().tolist()) <= {0.0, 1.0}

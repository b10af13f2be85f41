"""A replay keeps the newest, whole."""

import torch

from policies.envs.contract import Observation
from policies.learners.kit.inverting import share_of
from policies.learners.kit.replay import Met, Replay
from policies.learners.kit.running import Running


def met(first: int, num: int) -> Met:
    numbers = torch.arange(first, first + num, dtype=torch.float32)
    seen = Observation(numbers.reshape(-1, 1, 1), numbers.reshape(-1, 1, 1, 1))
    after = Observation(seen.user + 0.5, seen.pair + 0.5)
    row = numbers.reshape(-1, 1)
    return Met(seen, row.long(), row, row, after, torch.ones(num))


def test_the_oldest_make_room() -> None:
    replay = Replay(5, (1, 1), (1, 1), 1, alone=False)
    for first in (0, 3, 6):
        replay.add(met(first, 3))
    drawn = replay.draw(400, torch.Generator().manual_seed(1))
    assert set(drawn.way.flatten().tolist()) == {4, 5, 6, 7, 8}
    assert torch.equal(drawn.seen.user.flatten(), drawn.share.flatten())
    assert torch.equal(drawn.after.pair.flatten(), drawn.share.flatten() + 0.5)


def test_it_is_saved_as_weights_are() -> None:
    one, other = (Replay(4, (1, 1), (1, 1), 1, alone=True) for _ in range(2))
    one.add(met(0, 3))
    other.load_state_dict(one.state_dict())
    assert len(other) == 3
    assert torch.equal(
        other.draw(9, torch.Generator().manual_seed(1)).way, one.draw(9, torch.Generator().manual_seed(1)).way
    )


def test_shares_come_back_from_both_ends() -> None:
    inputs = torch.tensor([-2.0, -0.25, 0.25, 2.0], requires_grad=True)
    shares = share_of(inputs)
    assert shares.tolist() == [0.0, 0.25, 0.75, 1.0]
    up = torch.autograd.grad(-shares.sum(), inputs, retain_graph=True)[0]
    down = torch.autograd.grad(shares.sum(), inputs)[0]
    assert up.tolist() == [-1.0, -0.75, -0.25, 0.0]
    assert down.tolist() == [0.0, 0.25, 0.75, 1.0]


def test_a_running_scale_is_that_of_what_was_met() -> None:
    running, chance = Running(), torch.Generator().manual_seed(1)
    for _ in range(20):
        running.add(3.0 + 2.0 * torch.randn(1000, generator=chance))
    assert abs(float(running.mean) - 3.0) < 0.1
    assert abs(float(running.deviation) - 2.0) < 0.1

"""An actor for places of any number: the expected cost of each, corrected by what a small network has learned.

Source: ours. The cost that is expected of a job on a place has three parts,

    rest + per_s (elapsed + wait exp(a)) + price service,        log-score = -log of it + c

with a, price and c from a network that sees job, place, and how the places compare. The network's last layer begins at
zero: then the actor is the greedy rule, with a small price on a place's time. What there is to learn: ``a``, by how
much a job really waits longer or shorter than the backlog says, since others overtake it or it overtakes them;
``price``, what a second of that place's time will be worth to those who wait or are still to come; ``c``, everything
else.

Tensors and arrays of numpy go the same way (:func:`policies.envs.measured.observation.namespace`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from policies.envs.contract import Action, Observation
from policies.envs.measured.observation import (
    GUARDED,
    NUM_PAIR,
    NUM_USER,
    WAIT,
    Quantities,
    namespace,
    noted,
    quantities,
    ranges,
)

FIRST_PRICE = -2.5
"""Where the price of a second begins: softplus of it, 0.08 of what a second of weight 1 costs (ours)."""

SHARPNESS = 10.0
"""Of choices that are drawn: a place that costs 10 % more is chosen 0.4 times as often (ours)."""

BAD = 1e30


class Placer(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Scores every place of every job.

    Args:
        width: of the hidden layer.

    Attributes:
        low, high: of what it was trained on, in the order of :data:`GUARDED`.
    """

    low: Tensor
    high: Tensor

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.hidden = nn.Linear(NUM_USER + NUM_PAIR + 4, width)
        self.last = nn.Linear(width, 3)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.register_buffer("low", torch.full((len(GUARDED),), BAD))
        self.register_buffer("high", torch.full((len(GUARDED),), -BAD))

    def forward(self, user: Tensor, pair: Tensor) -> Tensor:
        """Log-scores of all places, (B, U, E); -inf where a job may not go."""
        of, known = namespace(pair), quantities(Observation(user, pair))
        found = _through(self.last, of.tanh(_through(self.hidden, compared(user, pair, known))))
        longer, price, more = (found[..., part] for part in range(3))
        waiting_s = known.wait_s * of.exp(longer.clip(-3.0, 3.0))
        per_service_s = of.logaddexp(price + FIRST_PRICE, of.zeros_like(price))  # softplus
        cost = known.rest + known.per_s * (known.elapsed_s + waiting_s) + per_service_s * known.service_s
        return of.where(known.feasible, more - of.log(cost + 1e-9), -of.inf)

    def costs(self, observation: Observation) -> Tensor:
        """What each place is taken to cost, (B, U, E), as an array for arrays; infinite where a job may not go."""
        with torch.no_grad():
            return namespace(observation.pair).exp(-self.forward(observation.user, observation.pair))

    def act(self, observation: Observation, chance: torch.Generator | None = None) -> Action:
        """The best place of each job, or one drawn."""
        with torch.no_grad():
            return self.chosen(self(observation.user, observation.pair), chance)

    def chosen(self, scores: Tensor, chance: torch.Generator | None = None) -> Action:
        """What :meth:`forward` says as an action: the best, or one drawn."""
        way = drawn(scores, chance)
        return Action(way, torch.zeros(way.shape, dtype=scores.dtype))

    def note(self, observation: Observation) -> None:
        """Widen the range of what it was trained on."""
        found = noted(observation).flatten(0, 1)
        self.low, self.high = torch.minimum(self.low, found.amin(0)), torch.maximum(self.high, found.amax(0))

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest of each feature that it was trained on."""
        return ranges(self.low, self.high)


def drawn(scores: Tensor, chance: torch.Generator | None) -> Tensor:
    """The best of log-scores, or one drawn by them; without the last dimension."""
    if chance is not None:
        noise = torch.empty_like(scores).exponential_(generator=chance)
        scores = SHARPNESS * scores - noise.log()
    return scores.argmax(-1)


def _through(layer: nn.Linear, seen: Tensor) -> Tensor:
    """What a layer makes of it; of an array, with the same weights."""
    if isinstance(seen, Tensor):
        return layer(seen)
    return seen @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def compared(user: Tensor, pair: Tensor, known: Quantities) -> Tensor:
    """What the network sees: job, place, and the place beside the others."""
    of = namespace(pair)
    expected = known.rest + known.per_s * (known.elapsed_s + known.wait_s)
    best = of.amin(of.where(known.feasible, expected, of.inf), -1)[..., None]
    above = of.log((expected + 1e-9) / (of.nan_to_num(best, posinf=1.0) + 1e-9)).clip(-5.0, 5.0)
    there = known.feasible * of.ones_like(pair[..., WAIT])
    num = there.sum(-1)[..., None].clip(1.0, None)
    mean_wait = (pair[..., WAIT] * there).sum(-1)[..., None] / num
    share = known.per_s * known.wait_s / (expected + 1e-9)
    beside = of.stack([above, share, *(of.broadcast_to(one, above.shape) for one in (mean_wait, of.log(num)))], -1)
    return of.concatenate([of.broadcast_to(user[..., None, :], (*pair.shape[:-1], user.shape[-1])), pair, beside], -1)

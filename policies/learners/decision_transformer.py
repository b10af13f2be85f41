"""Decision Transformer: what was done, foretold from the return that came of it; a high return is then asked for.

Source: Chen et al., "Decision Transformer: reinforcement learning via sequence modeling", NeurIPS 2021
(arXiv 2106.01345), Algorithm 1: tokens (return to go, observation, action) of the last K slots, a causal transformer,
the action read from the observation's token, cross-entropy; no value function, no bootstrapping.

Deviations (ours): each user is a sequence of its own, with one network for all; the observation's token pools over
places and the action is a score of every place, so that worlds may be of any size. Returns are ranks in the log
(:mod:`policies.learners.kit.offline`), which need no horizon: the paper takes what was received off what was asked,
here one goes on asking for the same rank from every slot on, as actors are not told rewards. Positions are those in the
window: observations say how much of the episode is left.

What is asked is what was *lucky* as much as what was good: in a world with chance a transformer conditioned on raw
returns learns which tasks are cheap (Paster, McIlraith and Ba, "You can't count on luck", NeurIPS 2022). ``returns =
"baseline"`` conditions on returns above a reference on the same tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from circuits.parameters import integer, real, refuse
from policies.envs.contract import Action
from policies.learners.kit.offline import Imitator, Logged, Offline, OfflineConfig
from policies.learners.kit.scorer import chosen
from policies.learners.kit.sight import Choices, Chooser

HEADS = 4
TOKENS = 3
"""Of a slot: return to go, observation, action."""


@dataclass(frozen=True)
class DecisionTransformerConfig(OfflineConfig):
    """As for all that learn from logs.

    Attributes:
        context: K, slots that are seen at once.   layers: of the transformer.   ask: rank of return that is asked for.
    """

    context: int = integer(8, low=1, high=1024, doc="slots that are seen at once")
    layers: int = integer(2, low=1, high=64, doc="layers of the transformer")
    ask: float = real(1.0, low=0.0, high=1.0, doc="return that is asked for, as a rank in the log; 1: the best")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % HEADS:
            refuse(self, "width", f"a multiple of {HEADS}, as many as there are heads", self.width)


class Block(nn.Module):  # type: ignore[misc]  # torch is Any to mypy here
    """Causal attention and a layer of four times the width, each on what is normalised before it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.projections, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(M, L, width) to the same."""
        query, key, value = self.projections(self.before(tokens)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value, is_causal=True)
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(-2))
        return tokens + self.wide(self.between(tokens))


class Transformer(Imitator):
    """Acts by the last K slots and a return that is asked for."""

    def __init__(self, config: DecisionTransformerConfig, setting: Any) -> None:
        super().__init__(config, setting)
        self.window, self.ask = config.context, config.ask
        width = config.width
        self.of_return, self.of_action = nn.Linear(1, width), nn.Linear(width + 3, width)
        self.position = nn.Parameter(0.02 * torch.randn(config.context, width))
        self.kind = nn.Parameter(0.02 * torch.randn(TOKENS, width))
        self.blocks = nn.Sequential(*(Block(width) for _ in range(config.layers)), nn.LayerNorm(width))
        self.chooser = Chooser(setting, 2 * width, width)

    def _done(self, places: Tensor, choice: Tensor, shares: Tensor) -> Tensor:
        """Token of an action: where, whether at home, whether with the QPU, which share."""
        num_places = places.shape[-2]
        at = ((choice - 1).clamp(min=0) % num_places)[..., None, None].expand(*choice.shape, 1, places.shape[-1])
        home = (choice == 0).to(places.dtype)
        where = places.gather(-2, at).squeeze(-2) * (1.0 - home).unsqueeze(-1)
        how = torch.stack([home, (choice > num_places).to(places.dtype), shares], dim=-1)
        return self.of_action(torch.cat([where, how], dim=-1))

    def _contexts(self, tokens: Tensor) -> Tensor:
        """What the observations' tokens have come to, of tokens (M, k, 3, width); later ones see earlier ones alone."""
        placed = tokens + self.position[: tokens.shape[1]].unsqueeze(1) + self.kind
        return self.blocks(placed.flatten(1, 2)).unflatten(1, (-1, TOKENS))[:, :, 1]

    def forward(self, logged: Logged) -> Choices:
        """What would be done in every slot of windows (M, K, …)."""
        own, places = self.sight(logged.user, logged.pair)
        asked = self.of_return(2.0 * logged.rank.unsqueeze(-1) - 1.0)
        tokens = torch.stack([asked, own, self._done(places, logged.choice, logged.shares)], dim=2)
        choices: Choices = self.chooser(torch.cat([self._contexts(tokens), own], dim=-1), places)
        return choices

    def acted(self, user: Tensor, pair: Tensor, chance: torch.Generator | None) -> Action:
        """The likeliest choice, or one drawn, after what was seen and done before."""
        own, places = self.sight(user, pair)  # (B, U, width), (B, U, E, width)
        asked = self.of_return(torch.full_like(own[..., :1], 2.0 * self.ask - 1.0))
        now = torch.stack([asked, own, torch.zeros_like(own)], dim=2).flatten(0, 1)
        before = [each for each in self.memory if len(each) == len(now)]  # of as many worlds
        context = self._contexts(torch.stack([*before, now], dim=1))[:, -1].view_as(own)
        choices = self.chooser(torch.cat([context, own], dim=-1), places)
        choice = chosen(choices.logits, chance)
        action: Action = self.chooser.action(choices, choice)
        done = self._done(places, choice, action.shares.to(own.dtype)).flatten(0, 1)
        now = torch.stack([*now.unbind(1)[:2], done], dim=1)
        self.memory = [*before, now][max(0, len(before) + 2 - self.window) :]
        return action


class DecisionTransformer(Offline):
    """Trains a :class:`Transformer`."""

    config_type = DecisionTransformerConfig
    network = Transformer

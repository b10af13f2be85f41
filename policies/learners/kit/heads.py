"""Distributions of what an agent does: the server, and the share that it processes itself.

Sources: categorical and normal, MEQC, eqs (19) and (20); Beta after Chou, Maturana and Scherer (ICML 2017); Bernoulli
ours: where an optimal share is 0 or 1 nothing else is needed. The normal is not confined to [0, 1]: what is drawn is
clipped before it is played, and its probability is that of what was drawn (ours; the paper says nothing).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

LOG_DEVIATION = (-4.0, 1.0)
"""Range of the normal's log sigma (ours)."""


def draw_server(logits: Tensor, chance: torch.Generator | None) -> Tensor:
    """Index along the last axis: drawn, or the most likely one without ``chance``."""
    if chance is None:
        return logits.argmax(-1)
    noise = torch.empty_like(logits).exponential_(generator=chance)
    return (logits.detach() - noise.log()).argmax(-1)  # Gumbel: as good as a draw from softmax(logits)


def judge_servers(logits: Tensor, servers: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of the chosen ones        [MEQC, eq. 19], and entropy of the choice, nat."""
    log_prob = logits.log_softmax(-1)
    return log_prob.gather(-1, servers.unsqueeze(-1)).squeeze(-1), -(log_prob.exp() * log_prob).sum(-1)


@dataclass(frozen=True)
class Head:
    """One distribution of the share.

    Attributes:
        num_outputs: numbers that the network gives for it, along the last axis.
        draw: (outputs, chance) to what was drawn; the most likely value without chance.
        log_prob: (outputs, drawn) to log pi^C.   entropy: outputs to nat (of the density for continuous ones).
    """

    num_outputs: int
    draw: Callable[[Tensor, torch.Generator | None], Tensor]
    log_prob: Callable[[Tensor, Tensor], Tensor]
    entropy: Callable[[Tensor], Tensor]


def _normal(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, of 1/2 where the network says 0, and log sigma, of -1 there."""
    return outputs[..., 0] + 0.5, (outputs[..., 1] - 1.0).clamp(*LOG_DEVIATION)


def _draw_normal(outputs: Tensor, chance: torch.Generator | None) -> Tensor:
    mean, log_deviation = _normal(outputs)
    if chance is None:
        return mean
    return mean + log_deviation.exp() * torch.empty_like(mean).normal_(generator=chance)


def _normal_log_prob(outputs: Tensor, drawn: Tensor) -> Tensor:
    mean, log_deviation = _normal(outputs)
    distance = (drawn - mean) * torch.exp(-log_deviation)
    return -0.5 * distance.square() - log_deviation - 0.5 * math.log(2.0 * math.pi)


def _normal_entropy(outputs: Tensor) -> Tensor:
    return _normal(outputs)[1] + 0.5 * math.log(2.0 * math.pi * math.e)


def _beta(outputs: Tensor) -> Tensor:
    """Both parameters, above 1, so that there is one mode."""
    return 1.0 + softplus(outputs)


def _draw_beta(outputs: Tensor, chance: torch.Generator | None) -> Tensor:
    shape = _beta(outputs)
    if chance is None:
        return (shape[..., 0] - 1.0) / (shape.sum(-1) - 2.0)
    parts = torch._standard_gamma(shape.detach(), generator=chance)
    return (parts[..., 0] / parts.sum(-1)).clamp(1e-6, 1.0 - 1e-6)


def _beta_log_prob(outputs: Tensor, drawn: Tensor) -> Tensor:
    return torch.distributions.Beta(*_beta(outputs).unbind(-1), validate_args=False).log_prob(drawn)


def _beta_entropy(outputs: Tensor) -> Tensor:
    return torch.distributions.Beta(*_beta(outputs).unbind(-1), validate_args=False).entropy()


def _draw_bernoulli(outputs: Tensor, chance: torch.Generator | None) -> Tensor:
    logits = outputs[..., 0]
    if chance is None:
        return (logits > 0).to(logits.dtype)
    return torch.bernoulli(torch.sigmoid(logits.detach()), generator=chance)


def _bernoulli_log_prob(outputs: Tensor, drawn: Tensor) -> Tensor:
    return -softplus((1.0 - 2.0 * drawn) * outputs[..., 0])


def _bernoulli_entropy(outputs: Tensor) -> Tensor:
    logits = outputs[..., 0]
    return softplus(logits) - logits * torch.sigmoid(logits)


HEADS: dict[str, Head] = {
    "normal": Head(2, _draw_normal, _normal_log_prob, _normal_entropy),
    "beta": Head(2, _draw_beta, _beta_log_prob, _beta_entropy),
    "bernoulli": Head(1, _draw_bernoulli, _bernoulli_log_prob, _bernoulli_entropy),
}
"""By name."""

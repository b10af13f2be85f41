"""What an episode teaches: advantages along the chain of each request's decisions, and the loss of both heads.

Sources: clipped objective, Schulman et al. 2017, and generalised advantages, Schulman et al. 2016, by
:mod:`policies.learners.kit`; what is paid and to whom, the critic, and the shares' part are ours. The paper rewards
delivery minus contention and says no more.

A request's decisions are one chain: each is paid for what happens until the next. +1 delivered, -1 expired, -beta for
every probe that another request blocked, and -beta/2 to who blocked it: half of what it does to others (Pigou).

The critic is linear, fitted to each batch in closed form: nothing to tune, and each node of a federation can fit its
own, so that no second network has to be sent.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from policies.allocators.dpem.network import Shape, scores
from policies.learners.kit.gae import advantages
from policies.learners.kit.heads import judge_servers
from policies.learners.kit.ppo import clipped_surrogate

RIDGE = 1.0
"""Weight of the critic's squared weights beside the sum of squared errors, on features of about unit size."""
BARRED = -1e9
"""Logit of what cannot be chosen."""


class Choices(NamedTuple):
    """Decisions of path or wait; D of them, A ways each, or with a leading axis of nodes.

    Attributes:
        features: (D, A, F).   base: logits of the hand rule, (D, A), :data:`BARRED` where there is no way.
        chosen: int64 (D,).   log_prob: as it was drawn.   advantage: (D,).   weight: 0 for padding, (D,).
    """

    features: Tensor
    base: Tensor
    chosen: Tensor
    log_prob: Tensor
    advantage: Tensor
    weight: Tensor


class Splits(NamedTuple):
    """Decisions of shares: what was added to the logit of the hand rule at a link's end; S of them.

    Attributes:
        features: (S, F).   added: (S,).   mean: of what it was drawn around, (S,).   advantage, weight: (S,).
    """

    features: Tensor
    added: Tensor
    mean: Tensor
    advantage: Tensor
    weight: Tensor


def ridge(features: Tensor, targets: Tensor, node: Tensor | None = None) -> Tensor:
    """Values by a linear critic that is fitted to these targets, (n,).

    Args:
        features: (n, p).   targets: (n,).   node: int64 (n,), where each node fits a critic to its own alone.
    """
    if node is not None:
        values = torch.zeros_like(targets)
        order = torch.sort(node, stable=True).indices
        for rows in order.split(torch.unique_consecutive(node[order], return_counts=True)[1].tolist()):
            values[rows] = ridge(features[rows], targets[rows])
        return values
    inputs = torch.cat([features, torch.ones(len(features), 1)], dim=1).double()
    gram = inputs.T @ inputs + RIDGE * torch.eye(inputs.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, inputs.T @ targets.double())
    return (inputs @ weights).float()


def summary(choices: Tensor, base: Tensor) -> Tensor:
    """What the critic sees of a decision: mean and maximum over the ways that there are, (D, 2 F)."""
    there = (base > BARRED / 2)[..., None]
    mean = (choices * there).sum(1) / there.sum(1).clamp(min=1)
    most = torch.where(there, choices, -10.0).amax(1)
    return torch.cat([mean, most], dim=1)


def along_chains(
    chain: Tensor,
    reward: Tensor,
    features: Tensor,
    discount: float,
    smoothing: float,
    node: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Advantages of decisions in chains that end.

    Args:
        chain: number of each decision's chain, int64 (D,), in order of time within a chain.   reward: (D,).
        features: what the critic sees, (D, p).   discount: gamma per decision.   smoothing: lambda.
        node: of each decision, int64 (D,), where each node has a critic of its own.

    Returns:
        Advantages and returns-to-go, (D,) each.
    """
    if not len(chain):
        return torch.zeros(0), torch.zeros(0)
    order = torch.sort(chain, stable=True).indices
    _, row, length = torch.unique_consecutive(chain[order], return_inverse=True, return_counts=True)
    place = torch.arange(len(chain)) - (length.cumsum(0) - length)[row]
    paid = torch.zeros(len(length), int(length.max()))
    paid[row, place] = reward[order]
    returns = advantages(paid, torch.zeros(paid.shape[0], paid.shape[1] + 1), discount, 1.0)[row, place]
    worth = torch.zeros(paid.shape[0], paid.shape[1] + 1)
    worth[row, place] = ridge(features[order], returns, None if node is None else node[order])
    found, back = advantages(paid, worth, discount, smoothing)[row, place], torch.empty_like(order)
    back[order] = torch.arange(len(order))
    return found[back], returns[back]


def choice_loss(shape: Shape, weights: Tensor, batch: Choices, clip: float, entropy: float) -> Tensor:
    """Minus the clipped objective and a bonus for entropy; weighted mean over decisions."""
    log_prob, spread = judge_servers(batch.base + scores(shape, weights, batch.features), batch.chosen)
    gain = clipped_surrogate(log_prob - batch.log_prob, batch.advantage, clip) + entropy * spread
    return -(gain * batch.weight).sum() / batch.weight.sum().clamp(min=1.0)


def split_loss(shape: Shape, weights: Tensor, batch: Splits, clip: float, deviation: float) -> Tensor:
    """The same of shares, drawn by a normal of fixed deviation around what the network adds."""
    now = (batch.added - scores(shape, weights, batch.features)) / deviation
    then = (batch.added - batch.mean) / deviation
    gain = clipped_surrogate(0.5 * (then**2 - now**2), batch.advantage, clip)
    return -(gain * batch.weight).sum() / batch.weight.sum().clamp(min=1.0)

"""Federated averaging of clipped updates with Gaussian noise, adaptive clipping, server momentum and a trimmed mean.

Sources: federated averaging, McMahan et al. 2017, with a fixed public denominator and noise as in McMahan, Ramage,
Talwar and Zhang, "Learning differentially private recurrent language models", ICLR 2018; adaptive clipping, Andrew et
al., NeurIPS 2021, Algorithm 1; trimmed mean, Yin et al., ICML 2018. The paper noises weights; here updates are noised,
since the sensitivity of weights has no bound (ours). What it costs in privacy: :mod:`policies.allocators.dpem.privacy`.

The trimmed sum needs no more noise than the sum (ours): with all others held, a coordinate of it is a continuous
function of one node's number with slope 0 or 1, so that replacing an update by zero moves it by at most that update.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from circuits.parameters import choice, integer, real, refuse, validate
from policies.allocators.dpem.privacy import update_sigma

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Federation:
    """How updates of nodes become one.

    Attributes:
        clip: C, largest norm of an update; the first one where it adapts.
        sigma: noise of a round over C, the count of adaptive clipping included; 0 for none.
        count_sigma: deviation of the noise on the count of nodes, as a part of the number of nodes.
        momentum: of the server, normalised: it smooths, and does not enlarge, steps.
        trimmed: part of the nodes that is left out at each end of every coordinate.
        sampled: chance of a node to take part in a round.
        poisoned: part of the nodes that sends what is wrong.   attack: what they send.
    """

    local_steps: int = integer(3, low=1, high=1000, doc="gradient steps of a node in a round")
    local_rate: float = real(0.05, low=1e-8, high=100.0, doc="step size of a node")
    clip: float = real(0.1, low=1e-8, high=1e6, doc="largest norm of an update; the first one if it adapts")
    clipping: str = choice("fixed", "fixed", "adaptive", doc="whether the clip follows a quantile of the norms")
    quantile: float = real(0.5, low=0.0, high=1.0, doc="of the norms, where the clip adapts")
    clip_rate: float = real(0.2, low=0.0, high=10.0, doc="by how much the clip adapts in a round")
    count_sigma: float = real(0.05, low=1e-6, high=1e6, doc="noise on the count of small updates, per node")
    sigma: float = real(0.0, low=0.0, high=1e6, doc="noise over clip in a round; 0 is no privacy")
    momentum: float = real(0.7, low=0.0, high=0.999, doc="of the server")
    server_rate: float = real(1.0, low=1e-6, high=1e3, doc="step size of the server")
    trimmed: float = real(0.0, low=0.0, high=0.45, doc="part of the nodes left out at each end")
    sampled: float = real(1.0, low=1e-3, high=1.0, doc="chance of a node to take part in a round")
    poisoned: float = real(0.0, low=0.0, high=0.5, doc="part of the nodes that sends what is wrong")
    attack: str = choice("flip", "flip", "noise", doc="what they send: ten times the contrary, or noise")

    def __post_init__(self) -> None:
        validate(self)
        if self.sampled < 1.0 and self.trimmed > 0.0:
            refuse(self, "trimmed", "0 where nodes are sampled, as absent ones would be trimmed", self.trimmed)

    def noise(self, num_nodes: int) -> float:
        """Noise on the sum over C, once the count has had its part."""
        if self.clipping == "fixed":
            return self.sigma
        return update_sigma(self.sigma, self.count_sigma * num_nodes)


class Served(NamedTuple):
    """What the server keeps from round to round: its momentum (d,) and the clip, a scalar."""

    momentum: Tensor
    clip: Tensor


def begin(federation: Federation, num_weights: int) -> Served:
    """Before the first round."""
    return Served(torch.zeros(num_weights), torch.tensor(federation.clip))


def federated(
    federation: Federation, served: Served, updates: Tensor, chance: torch.Generator
) -> tuple[Tensor, Served, dict[str, float]]:
    """One round.

    Args:
        updates: of every node, (N, d); nodes without data send zeros and count all the same.
        chance: of who takes part and of the noise.

    Returns:
        What is added to the weights (d,), the server's state, and figures: clip, part of updates below it, norms.
    """
    num_nodes = len(updates)
    present = torch.rand(num_nodes, generator=chance) < federation.sampled
    norms = torch.linalg.vector_norm(updates, dim=1)
    clipped = updates * (served.clip / norms.clamp(min=1e-12)).clamp(max=1.0)[:, None] * present[:, None]
    left = int(federation.trimmed * num_nodes)
    ordered = clipped.sort(dim=0).values[left : num_nodes - left] if left else clipped
    noise = federation.noise(num_nodes) * served.clip * torch.randn(updates.shape[1], generator=chance)
    mean = (ordered.sum(0) + noise) / (federation.sampled * (num_nodes - 2 * left))
    momentum = federation.momentum * served.momentum + (1.0 - federation.momentum) * mean
    below = ((norms <= served.clip) & present).float()
    clip = _adapted(federation, served.clip, below, present, chance)
    figures = {
        "clip": float(served.clip),
        "clipped": float(1.0 - below.sum() / present.sum().clamp(min=1)),
        "update_norm": float(norms.median()),
        "step_norm": float(torch.linalg.vector_norm(momentum)),
    }
    return federation.server_rate * momentum, Served(momentum, clip), figures


def _adapted(federation: Federation, clip: Tensor, below: Tensor, present: Tensor, chance: torch.Generator) -> Tensor:
    """C <- C exp(-eta (b - gamma)), b = part of nodes below C, noised        [Andrew et al. 2021, Algorithm 1].

    Bits are counted as ±1/2, so that one node moves the count by 1/2.
    """
    if federation.clipping == "fixed":
        return clip
    num_nodes = len(below)
    noise = federation.count_sigma * num_nodes * torch.randn((), generator=chance) if federation.sigma else 0.0
    counted = (below - 0.5 * present).sum() + noise
    part = 0.5 + counted / (federation.sampled * num_nodes)
    return clip * torch.exp(-federation.clip_rate * (part - federation.quantile))


def poison(federation: Federation, updates: Tensor, clip: Tensor, chance: torch.Generator) -> Tensor:
    """The same with what the first floor(p N) nodes of a random order send in their place; always the same nodes.

    "flip" sends minus ten times the own update; "noise" a random direction of ten times the clip.
    """
    wrong = torch.randperm(len(updates), generator=chance)[: int(federation.poisoned * len(updates))]
    sent = updates.clone()
    if federation.attack == "flip":
        sent[wrong] = -10.0 * updates[wrong]
    else:
        drawn = torch.randn((len(wrong), updates.shape[1]), generator=chance)
        sent[wrong] = 10.0 * clip * drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True)
    return sent


def local_updates(loss: Callable[[Tensor, Any], Tensor], weights: Tensor, data: Any, steps: int, rate: float) -> Tensor:
    """What gradient steps of every node by itself change: all nodes side by side.

    Args:
        loss: of one node: (weights (d,), its part of the data) to a scalar.   weights: shared, (d,).
        data: tensors, or a tuple or dict of them, whose first axis is the node.   steps, rate: of gradient descent.

    Returns:
        (N, d).
    """
    slope = torch.func.vmap(torch.func.grad(loss))
    first: Any = data
    while not isinstance(first, Tensor):
        first = next(iter(first.values())) if isinstance(first, dict) else first[0]
    own = weights.detach().expand(len(first), -1)
    for _ in range(steps):
        own = own - rate * slope(own, data)
    return (own - weights).detach()


def round_bytes(num_weights: int, num_nodes: int, *, adaptive: bool = False) -> int:
    """Sent in one round: an update up and the weights down per node, as float32; adaptive: a bit up, the clip down."""
    return num_nodes * (2 * FLOAT_BYTES * num_weights + adaptive * (1 + FLOAT_BYTES))

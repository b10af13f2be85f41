"""From an agent to a rule of the compiled world, and from a played episode to what can be learned of it.

What a decision is paid for is in :mod:`policies.allocators.dpem.learning`. A node's shares are paid for what its links
carried until the next decision: each request that is done gives its ±1 to the links of its last path in equal parts,
and a link gives what it has to both ends (ours; the paper says nothing of credit).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from policies.allocators.dpem.learning import BARRED, Choices, Splits, along_chains, summary
from policies.allocators.dpem.network import Shape, head, scores
from policies.envs.entanglement import state as states
from policies.envs.entanglement.play import Run
from policies.envs.entanglement.state import Rule

Reals = NDArray[np.float64]
PATHS = {"learned": states.SCORING, "hand": states.LOCAL}
SHARES = {"learned": states.S_LEARNED, "pulls": states.S_PULL, "hand": states.S_LOCAL, "uniform": states.S_UNIFORM}


class Lessons(NamedTuple):
    """All decisions of an episode and the node of each, int64."""

    choices: Choices
    chooser: Tensor
    splits: Splits
    splitter: Tensor


def rule_of(
    agent: Any,
    forecast: Reals | None,
    rows: slice = slice(None),
    *,
    announced: Reals | None = None,
    hold: int = 1,
    explore: bool = False,
) -> Rule:
    """What the compiled loop decides by.

    Args:
        agent: a :class:`~policies.allocators.dpem.learner.Agent`.   forecast, announced: of links, (decisions, E).
        rows: of its weights, where each node has its own.   explore: whether actions are drawn.
        hold: back-off, see :class:`~policies.envs.entanglement.state.Rule`.
    """
    own = agent.path.ndim == 2
    path, share = (each[rows] if own else each for each in (agent.path, agent.share))
    return states.rule(
        PATHS[agent.config.paths],
        SHARES[agent.config.shares],
        hold=hold,
        greedy=not explore,
        noise=agent.config.deviation if explore else 0.0,
        forecast=forecast,
        announced=announced,
        path_head=head(agent.path_shape, path),
        share_head=head(agent.share_shape, share),
        pull=None if agent.pull is None else agent.pull.detach().numpy(),
    )


def delivery(run: Run) -> float:
    """Part of the requests that are over that were served; 0 if none is over."""
    served = int((run.state.status == states.DELIVERED).sum())
    over = served + int((run.state.status == states.EXPIRED).sum())
    return served / over if over else 0.0


def lessons(run: Run, agent: Any, first_node: int = 0) -> Lessons:
    """What an episode teaches that was played with exploration and records of features.

    Args:
        first_node: number of the network's first node among those of all networks.
    """
    choices, chooser = _choices(run, agent)
    splits, splitter = _splits(run, agent, first_node)
    return Lessons(choices, chooser + first_node, splits, splitter + first_node)


def _choices(run: Run, agent: Any) -> tuple[Choices, Tensor]:
    config, state = agent.config, run.state
    num = int(state.count[states.NUM_DECISIONS]) if config.paths == "learned" else 0
    wrote = state.decisions[:num]
    request, action = wrote[:, states.D_REQUEST], wrote[:, states.D_ACTION]
    features = torch.from_numpy(state.features[:num].copy())
    ways = np.arange(features.shape[1])
    there = (wrote[:, states.D_USABLE][:, None] >> ways) & 1
    base = torch.from_numpy(np.where(there == 1, 0.0, BARRED).astype(np.float32))
    reward = torch.from_numpy(_paid(run, wrote, config.beta).astype(np.float32))
    seen = summary(features, base)
    node = torch.from_numpy(wrote[:, states.D_NODE].copy())
    chain, critics = torch.from_numpy(request.copy()), node if config.training != "central" else None
    advantage, _ = along_chains(chain, reward, seen, config.discount, config.smoothing, critics)
    choices = Choices(
        features,
        base,
        torch.from_numpy(np.where(action == states.WAIT, len(ways) - 1, action)),
        torch.from_numpy(state.log_prob[:num].astype(np.float32)),
        advantage,
        torch.ones(num),
    )
    return choices, node


def _paid(run: Run, wrote: NDArray[np.int64], beta: float) -> Reals:
    """Reward of each decision: until the request's next one, or its end."""
    state, request = run.state, wrote[:, states.D_REQUEST]
    order = np.argsort(request, kind="stable")
    ordered = wrote[order]
    last = np.append(ordered[1:, states.D_REQUEST] != ordered[:-1, states.D_REQUEST], True)[: len(order)]
    until = np.roll(ordered[:, [states.D_BLOCKED, states.D_HARMED]], -1, axis=0)
    of = ordered[last, states.D_REQUEST]
    until[last] = np.stack([state.blocked[of], state.harmed[of]], axis=1)
    more = until - ordered[:, [states.D_BLOCKED, states.D_HARMED]]
    paid = -beta * (more[:, 0] + 0.5 * more[:, 1])
    status = state.status[of]
    paid[last] += (status == states.DELIVERED) * 1.0 - (status == states.EXPIRED) * 1.0
    back = np.empty(len(order))
    back[order] = paid
    return back


def _splits(run: Run, agent: Any, first_node: int) -> tuple[Splits, Tensor]:
    config, state, topology = agent.config, run.state, run.episode.topology
    num = int(state.count[states.NUM_SHARES]) if config.shares == "learned" else 0
    owner = torch.from_numpy(topology.owner)
    if not num:
        empty = torch.zeros(0)
        return Splits(torch.zeros(0, states.NUM_SHARE_FEATURES), empty, empty, empty, empty), owner[:0]
    features = torch.from_numpy(state.share_features[:num].copy())  # (T, 2 E, 9)
    shape: Shape = agent.share_shape
    with torch.no_grad():
        if agent.share.ndim == 2:
            own = agent.share[first_node + owner]
            mean = torch.func.vmap(lambda weights, seen: scores(shape, weights, seen), (0, 1), 1)(own, features)
        else:
            mean = scores(shape, agent.share, features)
    added = mean + config.deviation * torch.from_numpy(state.share_noise[:num].copy())
    advantage = _of_nodes(features, _carried(run, num), owner, config, run.plan.share_every * run.plan.slot_s)[:, owner]
    splits = Splits(
        features.flatten(0, 1),
        added.flatten(),
        mean.flatten(),
        advantage.flatten(),
        features.abs().sum(-1).gt(0.0).float().flatten(),  # a link that is down has no features and takes no part
    )
    return splits, owner.expand(num, -1).flatten()


def _carried(run: Run, num: int) -> Tensor:
    """What the link of each share carried between share decisions, float32 (num, 2 E)."""
    state, paths = run.state, run.episode.paths
    worth = (state.status == states.DELIVERED) * 1.0 - (state.status == states.EXPIRED) * 1.0
    done = np.flatnonzero((worth != 0.0) & (state.choice >= 0))
    path = state.choice[done] % run.plan.num_paths
    pair = run.episode.requests.pair[done]
    links, hops = paths.links[pair, path], paths.hops[pair, path]
    when = np.searchsorted(state.share_slot[:num], state.done_slot[done] - 1, side="right") - 1
    out = np.zeros((num, run.episode.topology.num_links), np.float32)
    row, hop = np.nonzero(links >= 0)
    np.add.at(out, (when[row], links[row, hop]), (worth[done] / hops)[row])
    return torch.from_numpy(out[:, run.episode.topology.incident])


def _of_nodes(features: Tensor, carried: Tensor, owner: Tensor, config: Any, every_s: float) -> Tensor:
    """Advantage of each node's shares at each decision, (T, N)."""
    num, num_nodes = len(features), int(owner.max()) + 1
    discount = math.exp(-every_s / config.share_horizon_s)
    paid = torch.zeros(num, num_nodes).index_add_(1, owner, carried)
    degree = torch.bincount(owner, minlength=num_nodes).clamp(min=1)
    mean = torch.zeros(num, num_nodes, features.shape[2]).index_add_(1, owner, features) / degree[:, None]
    most = torch.zeros_like(mean).scatter_reduce(1, owner[None, :, None].expand_as(features), features, "amax")
    seen = torch.cat([mean, most], dim=-1).transpose(0, 1).flatten(0, 1)
    chain = torch.arange(num_nodes).repeat_interleave(num)
    critics = chain if config.training != "central" else None
    found, _ = along_chains(chain, paid.T.flatten(), seen, discount, config.smoothing, critics)
    return found.reshape(num_nodes, num).T

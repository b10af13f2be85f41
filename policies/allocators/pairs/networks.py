"""Policies of ``Entanglement-v1`` that serve pairs, by name: the local hand rule, and DPEM.

Each takes a network of :mod:`policies.envs.qnum.network` whose flows join QPUs: node 3 is the QPU called "3". Links
make what they make there at one quality; which paths pairs take, and which links a node serves, is the policy's to say,
so that flows' routes do not bind. For a world of one's own, with other users:
:class:`~policies.allocators.pairs.network.PairNetwork`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from circuits.errors import InvalidParameter
from policies.allocators.pairs.desk import Ends
from policies.allocators.pairs.line import Hardware
from policies.allocators.pairs.network import PairNetwork
from policies.allocators.qprimaldual.laws import START_W
from policies.envs.entanglement import state
from policies.envs.entanglement.demand import Requests, asking
from policies.envs.entanglement.episode import Episode, build
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.topology import Reals, Topology
from policies.envs.qnum.network import Network, number
from policies.envs.qnum.werner import fidelity

MOST_HZ = 2.5
"""Pairs a second of the world that its best link makes: its seconds are as long as that takes (ours). Policies meet the
rates that they know, whatever a network's links make."""
CHECKPOINTS = Path(__file__).parent.parent / "dpem" / "checkpoints"


def local(network: Network, *, werner: float = START_W, hardware: Hardware | None = None, seed: int = 0) -> PairNetwork:
    """Nodes that decide by hand rules on what they see."""
    return _served("local", network, lambda _: state.local("local"), werner, hardware, seed)


def dpem(
    network: Network,
    *,
    werner: float = START_W,
    hardware: Hardware | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> PairNetwork:
    """DPEM's agents, without a past to forecast from: links expect their running mean, and what is announced.

    Args:
        checkpoint: folder of a run or checkpoint; the one that comes with qorch if not given.
    """
    return _served("dpem", network, lambda episode: dpem_rule(episode, checkpoint), werner, hardware, seed)


def dpem_rule(episode: Episode, checkpoint: Path | None = None) -> state.Rule:
    """What DPEM's agents decide by in a world without a past; ``checkpoint`` as above."""
    from policies.allocators.dpem.evaluation import rule_on
    from policies.allocators.dpem.learner import read_run
    from policies.learners.kit.checkpoint import load

    found = load(checkpoint or sorted(CHECKPOINTS.glob("*/config.json"))[0].parent, read_run)
    agent: Any = found.actor()
    return rule_on(agent, episode)


def _served(
    source: str,
    network: Network,
    rule: Callable[[Episode], state.Rule],
    werner: float,
    hardware: Hardware | None,
    seed: int,
) -> PairNetwork:
    episode, second_s = world_of(network, number("werner", werner, 0.0, 1.0), hardware or Hardware(), seed)
    flows: dict[Ends, int] = {}
    lengths: dict[Ends, float] = {}
    for pair, (flow, path) in enumerate(zip(network.flows, network.paths, strict=True)):
        one, other = sorted((str(path[0]), str(path[-1])))
        if (one, other) in flows:
            raise InvalidParameter(f"flows: wanted one between each two QPUs, got a second between {one} and {other}")
        flows[one, other] = pair
        lengths[one, other] = sum(network.links[link].length_km for link in flow.route)
    return PairNetwork(source, episode, rule(episode), flows, second_s=second_s, length_km=lengths)


def world_of(network: Network, werner: float, hardware: Hardware, seed: int) -> tuple[Episode, float]:
    """A network as a world in which nobody asks yet, and the length of one of its seconds.

    A link makes d (1 - w) pairs a second, of which each end gives half; lengths are left out, since what links make is
    what comes through; nodes swap as often as they like.

    Raises:
        InvalidParameter: links make no pairs, or two join the same nodes.
    """
    made = network.d_hz * (1.0 - werner)
    if not made.max() > 0.0:
        raise InvalidParameter(f"werner: wanted less than 1, where links make pairs, got {werner:g}")
    second_s = MOST_HZ / float(made.max())
    ends = np.sort(np.array([link.ends for link in network.links], dtype=np.int64), axis=1)
    size = network.num_nodes
    setting = EntanglementSetting(
        num_nodes=size,
        physics_seed=seed,
        memories=hardware.memories,
        coherence_s=hardware.coherence_s / second_s,
        cutoff_s=hardware.cutoff_s / second_s,
        swap_success=hardware.swap_success,
        swap_visibility=hardware.swap_visibility,
    )
    half: Reals = np.bincount(ends.reshape(-1), np.repeat(0.5 * made * second_s, 2), size).astype(np.float64)
    topology = Topology(
        x_km=np.zeros(size),
        y_km=np.zeros(size),
        generation_hz=half,
        swap_hz=np.full(size, 1e9),
        ends=ends,
        length_km=np.zeros(network.num_links),
        fidelity=np.full(network.num_links, fidelity(werner)),
    )
    source, target = (np.array([path[place] for path in network.paths], dtype=np.int64) for place in (0, -1))
    demand = asking(setting, topology, source, target)
    none = np.zeros(0, dtype=np.int64)
    nobody = Requests(none, none, none, np.zeros(0), none)
    return build(setting, topology=topology, demand=demand, requests=nobody), second_s

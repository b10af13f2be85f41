"""Play a run, on the engine that there is, and judge it against what is best."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib.util import find_spec

import numpy as np

from circuits.errors import InvalidParameter
from circuits.registry import resolve
from policies.envs.qnum.network import Network
from policies.envs.qnum.packet.record import Record, Tell
from policies.envs.qnum.packet.settings import Physics, Run
from policies.envs.qnum.packet.summary import summary
from policies.envs.qnum.problem import gap

ENGINES: dict[str, str] = {
    "compiled": "policies.envs.qnum.packet.compiled:simulate",
    "reference": "policies.envs.qnum.packet.reference:simulate",
}
"""Same events for the same seed; "auto" takes the compiled one where numba is installed."""


def play(run: Run, engine: str = "auto", tell: Tell | None = None, *, trace: bool = False) -> Record:
    """What happens in a run.

    Args:
        engine: a key of :data:`ENGINES`, or "auto".   tell: called at the end of each bin.
        trace: whether every event is recorded.

    Raises:
        InvalidParameter: no engine has that name.   DependencyNotInstalled: it needs numba.
    """
    if engine == "auto":
        engine = "compiled" if find_spec("numba") else "reference"
    record: Record = resolve(ENGINES, engine, kind="engine", error=InvalidParameter)(run, tell, trace=trace)
    return record


def share_of(network: Network, best: float, utility: float) -> float:
    """G = exp((U - U*)/Σω), 0 if somebody gets nothing."""
    return math.exp(-gap(network, best, utility)) if math.isfinite(utility) else 0.0


def with_latency(network: Network, physics: Physics) -> Network:
    """The network with fibres so long that light over them takes what messages take; links make what they made."""
    longer = [replace(link, length_km=link.length_km * physics.latency_factor) for link in network.links]
    return replace(network, links=tuple(longer))


def without(network: Network, flows: set[int], name: str = "") -> Network:
    """The network with the other flows alone."""
    left = tuple(flow for number, flow in enumerate(network.flows) if number not in flows)
    return replace(network, flows=left, name=name or network.name)


def settled_s(
    record: Record, since_s: float, until_s: float, best: float, flows: list[int], share: float = 0.9
) -> float:
    """How long after a change the flows that can be served come to a share of what is best for them, and stay (ours).

    Judged in windows of five bins, each to its end: the first good one from which on 19 of 20 are. By chance alone one
    or two in a hundred miss 0.9 where flows get some 80 pairs/s. Not settled at all is infinite.

    Args:
        since_s: of the change.   until_s: end of the stretch.   best: U* of these flows.   share: of G.
    """
    network, bin_s = record.run.network, record.run.bin_s
    weight = sum(network.flows[flow].weight for flow in flows)
    ends = np.arange(since_s + 5.0 * bin_s, until_s + 0.5 * bin_s, bin_s)
    least = best + weight * math.log(share)
    utilities = [summary(record, end_s - 5.0 * bin_s, end_s).utilities[flows] for end_s in ends.tolist()]
    good = np.array([each.sum() >= least for each in utilities])
    lasting = np.cumsum(good[::-1])[::-1] >= 0.95 * np.arange(good.size, 0, -1)
    settled = np.flatnonzero(good & lasting)
    return float(ends[settled[0]] - since_s) if settled.size else math.inf

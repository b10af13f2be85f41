"""Everything that is given before anybody decides: network, demand, requests, candidate paths, faults."""

from __future__ import annotations

from dataclasses import dataclass

from circuits.errors import InvalidParameter
from policies.envs.entanglement import demand as demands
from policies.envs.entanglement.demand import Demand, Requests
from policies.envs.entanglement.faults import Faults
from policies.envs.entanglement.paths import Paths, candidates
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.topology import Topology


@dataclass(frozen=True, eq=False)
class Episode:
    """One episode of the world; the same for every policy.

    Attributes:
        paths: candidates of the demand's pairs.   requests: what comes when.   faults: what fails.
    """

    setting: EntanglementSetting
    topology: Topology
    demand: Demand
    requests: Requests
    paths: Paths
    faults: Faults


def build(
    setting: EntanglementSetting,
    *,
    topology: Topology | None = None,
    demand: Demand | None = None,
    requests: Requests | None = None,
    faults: Faults | None = None,
) -> Episode:
    """An episode, a pure function of its arguments.

    Args:
        topology, demand, requests, faults: instead of what the setting's seeds give; requests go with a demand.

    Raises:
        InvalidParameter: nodes that ask are not connected, or requests of pairs that there are not.
    """
    if topology is None:
        topology = Topology.generate(setting.kind, setting.num_nodes, setting.topology_seed)
    if demand is None or requests is None:
        drawn = demands.draw(setting, topology)
        demand, requests = demand or drawn[0], requests or drawn[1]
    if requests.num and not 0 <= int(requests.pair.min()) <= int(requests.pair.max()) < demand.num_pairs:
        raise InvalidParameter(f"requests.pair: wanted integers in [0, {demand.num_pairs}), got others")
    faults = faults or Faults()
    faults.check(topology)
    paths = candidates(topology, demand.source, demand.target, setting.num_paths, setting.most_hops)
    return Episode(setting, topology, demand, requests, paths, faults)

"""What fails, returns and joins during an episode: links, nodes, the controller and the aggregator.

A node that joins is one that is down from the beginning. What is down makes no pairs and swaps none, and what it holds
is lost. Controller and aggregator do not touch the network itself: policies that need them ask :meth:`Faults.out`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.entanglement.topology import Topology, Wholes

LINK, NODE, CONTROLLER, AGGREGATOR = range(4)
KINDS = ("link", "node", "controller", "aggregator")


@dataclass(frozen=True, order=True)
class Fault:
    """Something is down from the beginning of a slot to that of another.

    Attributes:
        begin, end: slots.   kind: "link", "node", "controller" or "aggregator".   number: of the link or node, else 0.
    """

    begin: int
    end: int
    kind: str
    number: int = 0


@dataclass(frozen=True)
class Faults:
    """All of an episode."""

    faults: tuple[Fault, ...] = ()

    def check(self, topology: Topology) -> None:
        """Refuse faults of what there is not.

        Raises:
            InvalidParameter: a kind, number or slot is out of range; the message names the fault.
        """
        sizes = {"link": topology.num_links, "node": topology.num_nodes, "controller": 1, "aggregator": 1}
        for place, fault in enumerate(self.faults):
            if fault.kind not in sizes:
                raise InvalidParameter(
                    f"faults[{place}].kind: wanted one of {', '.join(KINDS)}, got {short(fault.kind)}"
                )
            if not 0 <= fault.number < sizes[fault.kind]:
                most = sizes[fault.kind]
                raise InvalidParameter(f"faults[{place}].number: wanted an integer in [0, {most}), got {fault.number}")
            if not 0 <= fault.begin < fault.end:
                raise InvalidParameter(f"faults[{place}].end: wanted a slot after {fault.begin}, got {fault.end}")

    def events(self) -> Wholes:
        """Changes in order of time: slot, kind (LINK, NODE), number, +1 down or -1 up; int64 (F, 4)."""
        rows = [
            (slot, KINDS.index(fault.kind), fault.number, change)
            for fault in self.faults
            if fault.kind in KINDS[:2]
            for slot, change in ((fault.begin, 1), (fault.end, -1))
        ]
        return np.array(sorted(rows), dtype=np.int64).reshape(-1, 4)

    def out(self, kind: str, slot: int) -> bool:
        """Whether controller or aggregator is out of reach in a slot."""
        return any(fault.kind == kind and fault.begin <= slot < fault.end for fault in self.faults)


def draw(
    topology: Topology, num_slots: int, seed: int, *, links: float = 0.0, nodes: float = 0.0, joins: float = 0.0
) -> Faults:
    """Random faults: a part of the links and nodes fails once and returns, a part of the nodes joins late.

    Args:
        links, nodes, joins: parts in [0, 1]; each outage begins anywhere and lasts a tenth of the episode in the mean.
    """
    chance = np.random.default_rng(np.random.SeedSequence((73, seed)))
    found: list[Fault] = []
    for kind, size, part in (("link", topology.num_links, links), ("node", topology.num_nodes, nodes)):
        for number in np.flatnonzero(chance.random(size) < part).tolist():
            begin = int(chance.integers(num_slots))
            found.append(Fault(begin, begin + 1 + int(chance.exponential(num_slots / 10.0)), kind, number))
    late = np.flatnonzero(chance.random(topology.num_nodes) < joins).tolist()
    found += [Fault(0, 1 + int(chance.integers(num_slots)), "node", number) for number in late]
    return Faults(tuple(sorted(found)))

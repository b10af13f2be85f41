"""What an entanglement network is like and how it is used: the one record that every run is a pure function of.

Numbers of nodes, rates and capacities are the paper's (*Predictive Entanglement Resource Allocation via Decentralized
Reinforcement Learning in Quantum Network Edge Clouds*, section 5); it gives no physics, no demand, no deadlines: all of
that is ours.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from circuits.parameters import choice, construct, integer, real, refuse, validate

KINDS = ("rgg", "er", "waxman")
MOST_SEED = 2**31 - 1


@dataclass(frozen=True)
class EntanglementSetting:
    """Of ``Entanglement-v1``.

    Three seeds: the same topology seed gives the same network, the same demand seed the same requests, the same physics
    seed the same luck of links and swaps, whatever else changes.
    """

    num_nodes: int = integer(100, low=2, high=20_000, doc="N (paper: 100)")
    kind: str = choice("rgg", *KINDS, doc="random mesh: geometric, Erdos-Renyi of near nodes, Waxman")
    topology_seed: int = integer(0, low=0, high=MOST_SEED, doc="of the network")
    demand_seed: int = integer(0, low=0, high=MOST_SEED, doc="of the requests")
    physics_seed: int = integer(0, low=0, high=MOST_SEED, doc="of the luck of links and swaps")

    slot_s: float = real(0.2, low=1e-3, high=10.0, doc="length of a slot")
    duration_s: float = real(600.0, low=1e-3, high=1e7, doc="of an episode")
    memories: int = integer(4, low=1, high=64, doc="M, pairs that a link holds")
    coherence_s: float = real(10.0, low=1e-3, high=1e9, doc="a stored pair's w falls as exp(-t/coherence_s)")
    cutoff_s: float = real(5.0, low=1e-3, high=1e9, doc="age at which a stored pair is dropped")
    swap_success: float = real(0.9, low=1e-3, high=1.0, doc="of each swap")
    swap_visibility: float = real(0.995, low=1e-3, high=1.0, doc="Werner parameter of a swap's own noise")
    most_rounds: int = integer(0, low=0, high=3, doc="purification rounds that an action may ask of each link")

    offered_hz: float = real(6.64, low=0.0, high=1e6, doc="requests a second in all")
    pairs_per_node: float = real(1.5, low=1e-3, high=100.0, doc="source-target pairs that ask, per node")
    deadline_s: float = real(5.0, low=1e-3, high=1e6, doc="time that a request may take")
    predictability: float = real(0.6, low=0.0, high=1.0, doc="k, part of the demand that recurs every 120 s")
    job_hz: float = real(0.0, low=0.0, high=1e4, doc="announced batch jobs a second in all")
    job_pairs: int = integer(8, low=1, high=1000, doc="pairs that a batch job wants")
    job_form: str = choice("one", "one", "each", doc="a batch job is one request for all of its pairs, or one for each")
    job_lead_s: float = real(10.0, low=0.0, high=1e4, doc="how long ahead a batch job is announced")

    num_paths: int = integer(4, low=1, high=12, doc="K, candidate paths of a pair")
    most_hops: int = integer(16, low=1, high=200, doc="longest candidate path")
    hop_delay_s: float = real(0.0, low=0.0, high=10.0, doc="of news, for each hop that it travels")
    decide_s: float = real(1.0, low=1e-3, high=1e4, doc="after which a waiting request's path is reconsidered")
    share_s: float = real(0.2, low=1e-3, high=1e4, doc="after which nodes set their shares anew")
    memory_s: float = real(20.0, low=1e-3, high=1e6, doc="time constant of a link's mean demand")

    def __post_init__(self) -> None:
        validate(self)
        if self.num_slots < 1:
            refuse(self, "duration_s", f"at least a slot of {self.slot_s:g} s", self.duration_s)
        if self.cutoff_s < self.slot_s:
            refuse(self, "cutoff_s", f"at least a slot of {self.slot_s:g} s", self.cutoff_s)

    @property
    def num_slots(self) -> int:
        """Slots of an episode."""
        return round(self.duration_s / self.slot_s)

    def slots(self, time_s: float) -> int:
        """A time in whole slots, at least one."""
        return max(1, round(time_s / self.slot_s))

    @property
    def cutoff_slots(self) -> int:
        """Oldest age of a pair that is kept."""
        return max(1, math.floor(self.cutoff_s / self.slot_s + 1e-9))

    @property
    def num_demands(self) -> int:
        """Source-target pairs that ask."""
        most = self.num_nodes * (self.num_nodes - 1)
        return min(most, max(1, round(self.pairs_per_node * self.num_nodes)))

    def document(self) -> dict[str, Any]:
        """All fields by name, for files."""
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any]) -> EntanglementSetting:
        """From :meth:`document`.

        Raises:
            InvalidParameter: a field is unknown or out of its range.
        """
        setting: EntanglementSetting = construct(cls, document)
        return setting

    def but(self, **changes: Any) -> EntanglementSetting:
        """The same with some fields changed."""
        return replace(self, **changes)

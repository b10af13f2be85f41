"""Allocators that serve pairs to jobs: the contract of :mod:`orchestrator.entanglement`, by name."""

from typing import TYPE_CHECKING, Any

from circuits.errors import InvalidParameter
from circuits.registry import Registry, resolve

if TYPE_CHECKING:
    from backends.pairs import QPUNetwork
    from orchestrator.entanglement import Clocked, EntanglementAllocator
    from policies.envs.qnum.network import Network

_OWN: dict[str, str] = {
    "static": "policies.allocators.pairs.tables:static",  # ours: every link shared evenly, one quality
    "fluid": "policies.allocators.pairs.tables:fluid",  # ours: a linear program, no flow below its fair rate
    "qprimaldual": "policies.allocators.pairs.tables:qprimaldual",  # Panigrahy et al. 2025, second-hand
    "local": "policies.allocators.pairs.networks:local",  # hand rules in Entanglement-v1
    "dpem": "policies.allocators.pairs.networks:dpem",  # DPEM's agents in Entanglement-v1
}
PAIR_ALLOCATORS = Registry("qorch.pair_allocators", _OWN)
"""By name, as ``"module:function"``; each takes a network whose flows join QPUs, and a seed."""


def load(name: str, network: "Network", *, seed: int = 0, **options: Any) -> "EntanglementAllocator":
    """An allocator of pairs in front of a network, whose clock stands at 0.

    Raises:
        InvalidParameter: no allocator has that name; the message lists those that exist.
    """
    build = resolve(PAIR_ALLOCATORS, name, kind="allocator of pairs", error=InvalidParameter)
    made: EntanglementAllocator = build(network, seed=seed, **options)
    return made


def live(network: "QPUNetwork") -> "Clocked":
    """The allocator behind a device that tells what its pairs are made from.

    Raises:
        InvalidParameter: it tells of no network, nobody has that allocator's name, or it has no clock to be moved.
    """
    import json

    from orchestrator.entanglement import Clocked
    from policies.envs.qnum.document import read

    try:
        document = json.loads(network.made_from)
    except ValueError as error:
        raise InvalidParameter(f"made_from: wanted a network as JSON, got one that cannot be read: {error}") from error
    made = load(network.allocator, read(document))
    if not isinstance(made, Clocked):
        raise InvalidParameter(
            f"allocator: wanted one whose clock can be moved (advance), got {network.allocator}: provision its links "
            "without --live"
        )
    return made

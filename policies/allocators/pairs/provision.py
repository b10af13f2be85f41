"""What a table of rates means for a device of several QPUs: the file that ``QORCH_QPU_NETWORK`` names.

An allocator sets rates for seconds and more, a job runs for less: so what the QPUs can count on, by the rehearsal of
each flow, is written down once, and the backend ``distributed`` announces it and emulates what comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backends.pairs import PairLink, QPUNetwork
from circuits.errors import InvalidParameter
from orchestrator.records import to_json
from policies.allocators.pairs.desk import Desk
from policies.envs.qnum.document import written
from policies.envs.qnum.network import Network
from policies.envs.qnum.werner import latency_s


def provision(
    desk: Desk[Any], qubits: Sequence[int], qpus: Sequence[str] | None = None, made_from: Network | None = None
) -> QPUNetwork:
    """The network of some QPUs whose pairs an allocator serves.

    Args:
        qubits: of each QPU.   qpus: their names; None takes all that it knows, in order.
        made_from: what the allocator serves, so that who places jobs can ask it for each; None leaves it at the rates.

    Raises:
        InvalidParameter: as many QPUs as qubits are wanted, and each one that it knows.
    """
    offers = desk.provisioned()
    known = sorted({name for ends in offers for name in ends}, key=lambda name: (len(name), name))
    names = known if qpus is None else list(qpus)
    if len(names) != len(qubits) or not set(names) <= set(known):
        raise InvalidParameter(
            f"qpus: wanted {len(qubits)} of {', '.join(known)}, one for each number of qubits, got {', '.join(names)}"
        )
    links = []
    for (one, other), offer in offers.items():
        if one in names and other in names and offer.rate_hz > 0.0:
            first, second = sorted((names.index(one), names.index(other)))
            links.append(
                PairLink(
                    first,
                    second,
                    rate_hz=offer.rate_hz,
                    fidelity=sum(offer.fidelities) / len(offer.fidelities),
                    coherence_s=desk.coherence_s,
                    message_s=max(1e-6, latency_s(desk.length_km((one, other)))),
                )
            )
    told = "" if made_from is None else to_json(written(made_from))
    return QPUNetwork(tuple(qubits), tuple(links), desk.source, tuple(names), told)

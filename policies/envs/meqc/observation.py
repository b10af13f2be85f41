"""What agents see: the paper's observation, scaled to about [0, 1], by user and by pair of user and server.

Source: MEQC, eq. (16). Deviations: a server's qubits are seen per server, as V.A draws them, and the user's two weights
are seen, so that one policy can serve all weights (ours). Nobody sees other users.

User features, by index:
    0 local_hz / 3 GHz · 1 size / 1.6 GB · 2 log2(cycles per byte) / 11 · 3 qubits / 26
    4 depth / the deepest, 6460 in the paper · 5 edge_hz / 20 GHz · 6 transmit_w / 0.2 mW
    7 delay weight · 8 energy weight
Pair features, by index:
    0 (gain - 4) / 4 · 1 level / 3 · 2 server's qubits / 5000
"""

from __future__ import annotations

import torch

from policies.envs.contract import Observation
from policies.envs.meqc.batch import Slots

NUM_USER_FEATURES = 9
NUM_PAIR_FEATURES = 3


DEEPEST = 6460.0
"""Of the paper's circuits."""


def observe(slots: Slots, deepest: float = DEEPEST) -> Observation:
    """What the agents of each slot see, (B, U, 9) and (B, U, E, 3).

    Args:
        deepest: depth that is seen as 1.
    """
    user = torch.stack(
        [
            slots.local_hz / 3e9,
            slots.size_byte / 1.6e9,
            torch.log2(slots.cycles_per_byte) / 11.0,
            slots.num_qubits / 26.0,
            slots.depth / deepest,
            slots.edge_hz / 20e9,
            slots.transmit_w / 2e-4,
            slots.delay_weight,
            slots.energy_weight,
        ],
        dim=-1,
    )
    level, qubits = (each.unsqueeze(1).expand_as(slots.gain) for each in (slots.level / 3.0, slots.qubits / 5000.0))
    return Observation(user, torch.stack([(slots.gain - 4.0) / 4.0, level, qubits], dim=-1))


def slots_of(seen: Observation, deepest: float = DEEPEST) -> Slots:
    """Observations turned back into quantities: the inverse of :func:`observe`."""
    user, pair = seen.user.unbind(-1), seen.pair.unbind(-1)
    return Slots(
        local_hz=user[0] * 3e9,
        edge_hz=user[5] * 20e9,
        size_byte=user[1] * 1.6e9,
        cycles_per_byte=torch.exp2(user[2] * 11.0),
        num_qubits=torch.round(user[3] * 26.0),
        depth=torch.round(user[4] * deepest),
        transmit_w=user[6] * 2e-4,
        gain=pair[0] * 4.0 + 4.0,
        level=torch.round(pair[1][:, 0] * 3.0),
        qubits=torch.round(pair[2][:, 0] * 5000.0),
        delay_weight=user[7],
        energy_weight=user[8],
    )

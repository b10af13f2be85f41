"""Slots of the MEQC world drawn thousands at a time, as :func:`policies.envs.meqc.instance.draw` draws one.

Source: MEQC, Section V.A. Weights of delay and energy are fixed, or drawn for each slot so that one policy learns them
all (ours).
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from policies.envs.meqc.batch import Slots
from policies.envs.meqc.instance import CIRCUITS, FRAME_BYTE, FRAMES, PRIMITIVE_BITS


def draw_slots(
    chance: torch.Generator,
    shape: tuple[int, int, int],
    weights: tuple[float, float] | None = (0.5, 0.5),
    dtype: torch.dtype = torch.float32,
    circuits: str = "paper",
) -> Slots:
    """Independent slots.

    Args:
        chance: generator of the device on which the slots are to be.   shape: (B, U, E).
        weights: of delay and energy; None: for each slot lambda^D uniform in [0, 1], lambda^E = 1 - lambda^D.
        circuits: whose qubits and depths tasks have, a key of :data:`~policies.envs.meqc.instance.CIRCUITS`.
    """
    num_slots, num_users, num_servers = shape
    device = chance.device
    users, servers = (num_slots, num_users), (num_slots, num_servers)

    def whole(low: int, high: int, size: tuple[int, ...]) -> Tensor:
        return torch.randint(low, high + 1, size, generator=chance, device=device, dtype=torch.int32)

    def uniform(low: float, high: float, size: tuple[int, ...]) -> Tensor:
        return torch.rand(size, generator=chance, device=device, dtype=dtype).mul_(high - low).add_(low)

    index = whole(0, len(PRIMITIVE_BITS) - 1, users)
    cycles, widths, depths = (row[index] for row in _tables(circuits, dtype, str(device)))
    if weights is None:
        delay = uniform(0.0, 1.0, (num_slots, 1)).expand(users)
        energy = 1.0 - delay
    else:
        delay, energy = (torch.full((1, 1), weight, dtype=dtype, device=device).expand(users) for weight in weights)
    return Slots(
        local_hz=whole(1, 3, users).to(dtype).mul_(1e9),
        edge_hz=whole(2, 4, users).to(dtype).mul_(5e9),
        size_byte=whole(FRAMES[0], FRAMES[1], users).to(dtype).mul_(FRAME_BYTE),
        cycles_per_byte=cycles,
        num_qubits=widths,
        depth=depths,
        transmit_w=uniform(1e-5, 2e-4, users),
        gain=uniform(4.0, 8.0, shape),
        level=whole(1, 3, servers).to(dtype),
        qubits=whole(1000, 5000, servers).to(dtype),
        delay_weight=delay,
        energy_weight=energy,
    )


@lru_cache(maxsize=16)
def _tables(circuits: str, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Cycles per byte, qubits and depth of each number of primitive bits."""
    sizes = [CIRCUITS[circuits][bits] for bits in PRIMITIVE_BITS]
    rows = [3.0 * 2.0**bits for bits in PRIMITIVE_BITS], [size[0] for size in sizes], [size[1] for size in sizes]
    cycles, widths, depths = (torch.tensor(row, dtype=dtype, device=device) for row in rows)
    return cycles, widths, depths

"""Slots of the QCN drawn thousands at a time.

Source: QCN paper, Section V, for n and k; the rest is the study's (ours): all uniform, but for clouds, which are as
fast as the model says, and reached at a fixed ratio of the best uplink.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from policies.envs.qcn.batch import Slots
from policies.envs.qcn.circuits import DATA_QUBITS, GATES, LATENT_QUBITS
from policies.envs.qcn.instance import NUM_CIRCUITS
from policies.envs.qcn.model import Model


def draw_slots(
    chance: torch.Generator,
    shape: tuple[int, int, int],
    clouds: int,
    model: Model,
    weights: tuple[float, float] | None = (0.5, 0.5),
    dtype: torch.dtype = torch.float32,
    circuits: str = "paper",
) -> Slots:
    """Independent slots.

    Args:
        chance: generator of the device on which the slots are to be.   shape: (B, U, E).   clouds: how many of E.
        weights: of delay and energy; None: for each slot d uniform in [0, 1], e = 1 - d.
        circuits: whose gates tasks have, a key of :data:`~policies.envs.qcn.circuits.GATES`.
    """
    num_slots, num_users, num_servers = shape
    device, edges = chance.device, num_servers - clouds
    users = (num_slots, num_users)

    def uniform(low: float, high: float, size: tuple[int, ...]) -> Tensor:
        return torch.rand(size, generator=chance, device=device, dtype=dtype).mul_(high - low).add_(low)

    def whole(values: range) -> Tensor:
        return torch.randint(values.start, values.stop, users, generator=chance, device=device)

    data, latent = whole(DATA_QUBITS), whole(LATENT_QUBITS)
    gates = _table(circuits, dtype, str(device))[data - DATA_QUBITS.start, latent - LATENT_QUBITS.start]
    num_circuits = uniform(*NUM_CIRCUITS, users)
    low, high = 1.0 - model.flops_spread, 1.0 + model.flops_spread
    local_flops = model.local_flops * uniform(low, high, users)
    edge_flops = model.edge_flops * uniform(low, high, (num_slots, edges))
    edge_rate = uniform(model.uplink_low_bps, model.uplink_high_bps, (num_slots, num_users, edges))
    cloud_rate = model.cloud_rate_ratio * edge_rate.amax(-1, keepdim=True)
    if weights is None:
        delay = uniform(0.0, 1.0, (num_slots, 1)).expand(users)
        energy = 1.0 - delay
    else:
        delay, energy = (torch.full((1, 1), weight, dtype=dtype, device=device).expand(users) for weight in weights)
    is_cloud = (torch.arange(num_servers, device=device) >= edges).to(dtype)
    return Slots(
        data=data.to(dtype),
        latent=latent.to(dtype),
        gates=gates,
        num_circuits=num_circuits,
        local_flops=local_flops,
        server_flops=torch.cat([edge_flops, edge_flops.new_full((num_slots, clouds), model.cloud_flops)], dim=-1),
        rate_bps=torch.cat([edge_rate, cloud_rate.expand(num_slots, num_users, clouds)], dim=-1),
        is_cloud=is_cloud.expand(num_slots, num_servers),
        delay_weight=delay,
        energy_weight=energy,
    )


@lru_cache(maxsize=16)
def _table(circuits: str, dtype: torch.dtype, device: str) -> Tensor:
    """Gates by n and k."""
    rows = [[GATES[circuits][data, latent] for latent in LATENT_QUBITS] for data in DATA_QUBITS]
    return torch.tensor(rows, dtype=dtype, device=device)

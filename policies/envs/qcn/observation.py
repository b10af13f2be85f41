"""What agents see: their task, their links, and what the model says of every place if nobody else went there.

Source: QCN paper, Section IV: "the state of nodes, links, requests, qubits and channels", without a list; the list is
ours. Nobody sees other users. Costs and times are squashed to [0, 1) by x / (1 + x), so that a policy that knows no
model can compare them, and :func:`unsquashed` has them back.

User features, by index:
    0 n / 9 · 1 k / 5 · 2 qubits / 16 · 3 circuits / 2000 · 4 log10 of the work in flop / 12
    5 own processor / the fastest · 6 delay weight · 7 energy weight
    8 delay at home (squashed) · 9 energy at home (squashed) · 10 cost at home (squashed)
Pair features, by index:
    0 uplink / the best · 1 processor (log10 over the cloud's) · 2 whether it is a cloud
    3 whether it forwards the task
    4 delay, 5 energy, 6 cost of sending everything, alone (squashed)
    7 the best share to keep, alone · 8 cost with it (squashed)
Delays, energies and costs are in units of the model's norms.
"""

from __future__ import annotations

import torch
from torch import Tensor

from policies.envs.contract import Observation
from policies.envs.qcn.alone import home_cost, priced
from policies.envs.qcn.batch import Slots, local, ways
from policies.envs.qcn.circuits import FLOP_PER_GATE
from policies.envs.qcn.instance import NUM_CIRCUITS
from policies.envs.qcn.model import Model

NUM_USER_FEATURES = 11
NUM_PAIR_FEATURES = 9


def squashed(values: Tensor) -> Tensor:
    """From [0, inf) to [0, 1)."""
    return values / (1.0 + values)


def unsquashed(values: Tensor) -> Tensor:
    """The way back."""
    return values / (1.0 - values)


def observe(model: Model, slots: Slots) -> Observation:
    """What the agents of each slot see, (B, U, 11) and (B, U, E, 9)."""
    local_s, local_j = local(model, slots)
    user = [
        slots.data / 9.0,
        slots.latent / 5.0,
        slots.qubits / 16.0,
        slots.num_circuits / NUM_CIRCUITS[1],
        torch.log10(slots.work_flop) / 12.0,
        slots.local_flops / (model.local_flops * (1.0 + model.flops_spread)),
        slots.delay_weight.expand_as(local_s),
        slots.energy_weight.expand_as(local_s),
        squashed(local_s / model.norm_s),
        squashed(local_j / model.norm_j),
        squashed(home_cost(model, slots)),
    ]
    way = ways(model, slots)
    delay_s, energy_j = way.busy_s + way.wait_s, way.run_j + way.upload_j
    delay, energy = slots.delay_weight.unsqueeze(-1), slots.energy_weight.unsqueeze(-1)
    best = priced(model, slots, way=way)
    places = torch.arange(slots.shape[2], device=slots.rate_bps.device)
    flops = slots.server_flops.unsqueeze(1).expand_as(slots.rate_bps)
    pair = [
        slots.rate_bps / model.uplink_high_bps,
        torch.log10(flops) / torch.log10(torch.as_tensor(max(model.cloud_flops, 10.0), dtype=flops.dtype)),
        slots.is_cloud.unsqueeze(1).expand_as(slots.rate_bps),
        (way.reached != places).to(flops.dtype),
        squashed(delay_s / model.norm_s),
        squashed(energy_j / model.norm_j),
        squashed(delay * delay_s / model.norm_s + energy * energy_j / model.norm_j),
        best.share,
        squashed(best.cost),
    ]
    return Observation(torch.stack(user, dim=-1), torch.stack(pair, dim=-1))


def slots_of(model: Model, seen: Observation) -> Slots:
    """What a user's own observation says of its slot: the way back of :func:`observe`."""
    user, pair = seen.user, seen.pair
    data, latent = (user[..., 0] * 9.0).round(), (user[..., 1] * 5.0).round()
    num_circuits = user[..., 3] * NUM_CIRCUITS[1]
    work_flop = 10.0 ** (user[..., 4].double() * 12.0)
    per_gate = FLOP_PER_GATE * torch.exp2(2.0 * data - latent + 1.0) * num_circuits
    cloud = torch.log10(torch.as_tensor(max(model.cloud_flops, 10.0), dtype=torch.float64))
    return Slots(
        data=data,
        latent=latent,
        gates=(work_flop / per_gate).to(user.dtype),
        num_circuits=num_circuits,
        local_flops=user[..., 5] * (model.local_flops * (1.0 + model.flops_spread)),
        server_flops=(10.0 ** (pair[:, 0, :, 1].double() * cloud)).to(pair.dtype),
        rate_bps=pair[..., 0] * model.uplink_high_bps,
        is_cloud=pair[:, 0, :, 2],
        delay_weight=user[..., 6],
        energy_weight=user[..., 7],
    )

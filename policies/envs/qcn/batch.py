"""The same costs for thousands of slots at once, in torch: what learners train on.

Source: as :mod:`policies.envs.qcn.cost`, which is the reference; a test holds the two together to 1e-9.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from circuits.errors import DependencyNotInstalled
from policies.envs.contract import Action
from policies.envs.qcn.circuits import AMPLITUDE_BIT, FLOP_PER_GATE
from policies.envs.qcn.instance import WHOLE, Instance
from policies.envs.qcn.model import Model
from policies.envs.slots import BatchedSlots

try:
    import torch
    from torch import Tensor
except ImportError as error:
    raise DependencyNotInstalled("the batched QCN world", "torch", "learn") from error


@dataclass(frozen=True)
class Slots(BatchedSlots):
    """Many slots side by side: B slots, U users, E places. Fields as in :class:`Instance`, all of one dtype.

    Attributes:
        rate_bps: (B, U, E).   server_flops, is_cloud: (B, E).   the others: (B, U).
        backlog_s: how long each place still works on what came before, (B, E); None: on nothing.
    """

    instance: ClassVar[type[Instance]] = Instance
    whole: ClassVar[frozenset[str]] = WHOLE

    data: Tensor
    latent: Tensor
    gates: Tensor
    num_circuits: Tensor
    local_flops: Tensor
    server_flops: Tensor
    rate_bps: Tensor
    is_cloud: Tensor
    delay_weight: Tensor
    energy_weight: Tensor
    backlog_s: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, U, E)."""
        num_slots, num_users, num_servers = self.rate_bps.shape
        return num_slots, num_users, num_servers

    @property
    def qubits(self) -> Tensor:
        """2n - k + 1 of each task's circuits, (B, U)."""
        return 2.0 * self.data - self.latent + 1.0

    @property
    def work_flop(self) -> Tensor:
        """Of each task, (B, U)."""
        return FLOP_PER_GATE * self.gates * torch.exp2(self.qubits) * self.num_circuits

    @property
    def size_bit(self) -> Tensor:
        """Of each task's input, (B, U)."""
        return AMPLITUDE_BIT * torch.exp2(self.data) * self.num_circuits


@dataclass(frozen=True)
class Ways:
    """What all of each task would take at each place, alone there, (B, U, E) each.

    Attributes:
        reached: the place that would do the work, int64.
        busy_s: sending and running it, which others slow down.   upload_j, run_j: their energies.
        run_s: the processor's part of ``busy_s``.   wait_s: the way there and back, and what came before.
    """

    reached: Tensor
    busy_s: Tensor
    run_s: Tensor
    upload_j: Tensor
    run_j: Tensor
    wait_s: Tensor


def local(model: Model, slots: Slots) -> tuple[Tensor, Tensor]:
    """Seconds and joules of all of each task at home, (B, U) each."""
    work = slots.work_flop
    return work / slots.local_flops, model.local_j_per_flop * work


def ways(model: Model, slots: Slots) -> Ways:
    """Every user at every place."""
    num_servers = slots.shape[2]
    places = torch.arange(num_servers, device=slots.rate_bps.device)
    able = (slots.is_cloud > 0).unsqueeze(1) | (slots.qubits <= model.edge_qubits).unsqueeze(-1)
    reached = torch.where(able, places, num_servers - 1)

    def there(values: Tensor) -> Tensor:
        return values.unsqueeze(1).expand(slots.rate_bps.shape).gather(2, reached)

    work, cloud = slots.work_flop.unsqueeze(-1), there(slots.is_cloud)
    upload_s, run_s = slots.size_bit.unsqueeze(-1) / slots.rate_bps, work / there(slots.server_flops)
    run_j = work * (model.cloud_j_per_flop * cloud + model.edge_j_per_flop * (1.0 - cloud))
    wait_s = model.edge_s + model.cloud_s * cloud
    if slots.backlog_s is not None:
        wait_s = wait_s + there(slots.backlog_s)
    return Ways(reached, upload_s + run_s, run_s, model.radio_w * upload_s, run_j, wait_s)


@dataclass(frozen=True)
class Outcome:
    """What an action cost: (B, U) each.

    Attributes:
        cost: of each user.   delay_s, energy_j: behind the cost.
        reached: the place that does the work, int64.   crowd: how many send it something, at least 1.
        load_s: how long the place would work on what the user sent, alone.
    """

    cost: Tensor
    delay_s: Tensor
    energy_j: Tensor
    reached: Tensor
    crowd: Tensor
    load_s: Tensor


def settle(model: Model, slots: Slots, action: Action) -> Outcome:
    """Cost of an action in every slot."""
    every, chosen = ways(model, slots), action.servers.unsqueeze(-1)
    way = Ways(**{item.name: getattr(every, item.name).gather(2, chosen).squeeze(-1) for item in fields(Ways)})
    rest = 1.0 - action.shares
    crowd = crowds(way.reached, rest > 0, slots.shape[2]).gather(-1, way.reached).clamp(min=1.0).to(rest.dtype)
    local_s, local_j = local(model, slots)
    remote_s = torch.where(rest > 0, rest * crowd * way.busy_s + way.wait_s, 0.0)
    delay_s = torch.maximum(action.shares * local_s, remote_s)
    energy_j = action.shares * local_j + rest * (way.run_j + crowd * way.upload_j)
    cost = slots.delay_weight * delay_s / model.norm_s + slots.energy_weight * energy_j / model.norm_j
    return Outcome(cost, delay_s, energy_j, way.reached, crowd, rest * way.run_s)


def crowds(reached: Tensor, active: Tensor, num_servers: int) -> Tensor:
    """How many users send something to each place, float (B, E).

    Args:
        reached: int64 (B, U).   active: bool (B, U).
    """
    counts = torch.zeros(*reached.shape[:-1], num_servers, device=reached.device)
    return counts.scatter_add_(-1, reached, active.to(counts.dtype))

"""The same costs for thousands of slots at once, in torch: what learners train on.

Source: as :mod:`policies.envs.meqc.cost`, which is the reference; a test holds the two together to 1e-9. Everything is
elementwise over whatever shape it is given: the servers that users have chosen (slots, users), or every pair of a user
and a server (slots, users, servers).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

from circuits.concatenation import QUBITS_PER_LEVEL
from circuits.errors import DependencyNotInstalled
from policies.envs.contract import Action
from policies.envs.meqc.hardware import hardware
from policies.envs.meqc.instance import WHOLE, Instance
from policies.envs.meqc.model import LEVELS, Model
from policies.envs.slots import BatchedSlots

try:
    import torch
    from torch import Tensor
except ImportError as error:
    raise DependencyNotInstalled("the batched MEQC world", "torch", "learn") from error


@dataclass(frozen=True)
class Slots(BatchedSlots):
    """Many slots side by side: B slots, U users, E servers. Fields as in :class:`Instance`, all of one dtype.

    Attributes:
        gain: (B, U, E).   level, qubits: (B, E).   the others: (B, U).
        ready: 1 where a server's QPU is free, 0 where it is held, (B, E); None: all are free.
        error_ratio: eps_err of each server over the model's, (B, E); None: all are 1.
    """

    instance: ClassVar[type[Instance]] = Instance
    whole: ClassVar[frozenset[str]] = WHOLE

    local_hz: Tensor
    edge_hz: Tensor
    size_byte: Tensor
    cycles_per_byte: Tensor
    num_qubits: Tensor
    depth: Tensor
    transmit_w: Tensor
    gain: Tensor
    level: Tensor
    qubits: Tensor
    delay_weight: Tensor
    energy_weight: Tensor
    ready: Tensor | None = None
    error_ratio: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(B, U, E)."""
        num_slots, num_users, num_servers = self.gain.shape
        return num_slots, num_users, num_servers


@dataclass(frozen=True)
class Remote:
    """What all of a user's data would take on servers; any shape that broadcasts, usually (B, U) or (B, U, E).

    Attributes:
        upload_s, upload_j: alone on the channel.   cpu_s, cpu_j: on the processor.   qpu_s, qpu_j: on the QPU.
        fits: whether the QPU may take it, eq. (11).
    """

    upload_s: Tensor
    upload_j: Tensor
    cpu_s: Tensor
    cpu_j: Tensor
    qpu_s: Tensor
    qpu_j: Tensor
    fits: Tensor


@dataclass(frozen=True)
class Outcome:
    """What an action cost: (B, U) each.

    Attributes:
        cost: of each user.   on_qpu: whether its server's QPU took it.
        delay_s, energy_j: behind the cost.
    """

    cost: Tensor
    on_qpu: Tensor
    delay_s: Tensor
    energy_j: Tensor


def local(model: Model, slots: Slots) -> tuple[Tensor, Tensor]:
    """Seconds and joules of all of each user's data on its own processor, (B, U) each        [MEQC, eq. 1]."""
    work = slots.size_byte * slots.cycles_per_byte
    chip = model.chip_j_per_cycle * work
    return work / slots.local_hz, chip * (slots.local_hz / 1e9) ** 2 if model.local_chip != "constant" else chip


def remote(model: Model, slots: Slots, servers: Tensor | None = None) -> Remote:
    """Terms of eqs (2) to (11), for the servers that were chosen or, without ``servers``, for every pair.

    Args:
        servers: int64 (B, U); None for all: results are (B, U, E).
    """
    pairs = servers is None

    def of_user(values: Tensor) -> Tensor:
        return values.unsqueeze(-1) if pairs else values

    def of_server(values: Tensor) -> Tensor:
        return values.unsqueeze(1) if servers is None else values.gather(1, servers)

    gain = slots.gain if servers is None else slots.gain.gather(2, servers.unsqueeze(-1)).squeeze(-1)
    size, transmit = of_user(slots.size_byte), of_user(slots.transmit_w)
    upload_s = size * (model.bits_per_byte / model.bandwidth_hz) / torch.log2(1.0 + transmit * gain / model.noise_w)
    work = size * of_user(slots.cycles_per_byte)
    ratio = None if slots.error_ratio is None else of_server(slots.error_ratio)
    qpu_s, qpu_j, fits = _quantum(
        model,
        (size, of_user(slots.num_qubits), of_user(slots.depth)),
        (of_user(slots.delay_weight), of_user(slots.energy_weight)),
        (of_server(slots.level), of_server(slots.qubits), ratio),
    )
    if slots.ready is not None:
        fits = fits & (of_server(slots.ready) > 0)
    return Remote(
        upload_s, transmit * upload_s, work / of_user(slots.edge_hz), model.chip_j_per_cycle * work, qpu_s, qpu_j, fits
    )


def _quantum(
    model: Model,
    task: tuple[Tensor, Tensor, Tensor],
    weights: tuple[Tensor, Tensor],
    server: tuple[Tensor, Tensor, Tensor | None],
) -> tuple[Tensor, Tensor, Tensor]:
    """Seconds, joules and whether it fits, at the level of the model's choice."""
    level, have, ratio = server
    if model.concatenation != "auto":
        chosen = level if model.concatenation == "server" else torch.full_like(level, float(model.concatenation))
        return _at_level(model, task, _table(model, chosen, ratio), have)
    best: tuple[Tensor, Tensor, Tensor] | None = None
    best_cost = torch.full_like(level, float("inf"))
    for number in LEVELS:
        now = _at_level(model, task, _table(model, torch.full_like(level, float(number)), ratio), have)
        cost = torch.where(now[2], weights[0] * now[0] + weights[1] * now[1], float("inf"))
        better = cost < best_cost
        best = now if best is None else tuple(torch.where(better, new, old) for new, old in zip(now, best, strict=True))
        best_cost = torch.where(better, cost, best_cost)
    assert best is not None
    return best


@dataclass(frozen=True)
class _Level:
    """Constants of one logical qubit at the levels asked for, each of the levels' shape."""

    busy_s: Tensor
    power_w: Tensor
    failures: Tensor
    physical: Tensor
    steps: Tensor


def _table(model: Model, level: Tensor, ratio: Tensor | None) -> _Level:
    index = level.long() - LEVELS[0]
    table = _Level(*(row[index] for row in _rows(model, level.dtype, str(level.device))))
    return table if ratio is None else replace(table, failures=table.failures * ratio ** torch.exp2(level))


@lru_cache(maxsize=64)
def _rows(model: Model, dtype: torch.dtype, device: str) -> tuple[Tensor, ...]:
    """Fields of :class:`_Level` by level."""
    machine = hardware(model)
    rows = (
        [machine.busy_s[number] for number in LEVELS],
        [machine.power_w[number] for number in LEVELS],
        [1.0 - machine.success(1, 1, number) for number in LEVELS],
        [float(QUBITS_PER_LEVEL**number) for number in LEVELS],
        [float(3**number) for number in LEVELS],
    )
    return tuple(torch.tensor(row, dtype=dtype, device=device) for row in rows)


def _at_level(
    model: Model, task: tuple[Tensor, Tensor, Tensor], at: _Level, have: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    size, qubits, depth = task
    success = 1.0 - qubits * depth * at.failures
    physical = qubits * at.physical
    fits = ((qubits if model.qubit_capacity == "logical" else physical) <= have) & (success >= model.least_success)
    if model.quantum_time == "eq7":
        units = size / model.work_unit_byte * qubits
        return units * at.busy_s, units * at.power_w, fits
    copies = torch.clamp(torch.floor(have / physical), min=1.0)
    run_s = size / model.ray_byte * depth * at.steps * model.cryogenics.timestep_s / copies
    return run_s, run_s * copies * qubits * at.power_w, fits


def settle(model: Model, slots: Slots, action: Action) -> Outcome:
    """Cost of an action in every slot."""
    servers, shares = action.servers, action.shares
    rest = 1.0 - shares
    local_s, local_j = (shares * whole for whole in local(model, slots))
    there = remote(model, slots, servers)
    crowd = _crowd(servers, rest > 0, slots.shape[2]) if model.bandwidth == "shared" else 1.0
    upload_s, upload_j = rest * there.upload_s * crowd, rest * there.upload_j * crowd
    ways = []
    for run_s, run_j in ((there.cpu_s, there.cpu_j), (there.qpu_s, there.qpu_j)):
        remote_s = upload_s + rest * run_s
        delay_s = torch.maximum(local_s, remote_s) if model.overlap == "max" else local_s + remote_s
        energy_j = local_j + upload_j + rest * run_j
        ways.append((delay_s, energy_j, slots.delay_weight * delay_s + slots.energy_weight * energy_j))
    cpu, qpu = ways
    may = there.fits & (rest > 0)
    if action.asks is not None:
        may = may & action.asks
    on_qpu = admitted(model, cpu[2] - qpu[2], may, servers, slots.shape[2])
    delay_s, energy_j, cost = (torch.where(on_qpu, second, first) for first, second in zip(cpu, qpu, strict=True))
    return Outcome(cost, on_qpu, delay_s, energy_j)


def _crowd(servers: Tensor, active: Tensor, num_servers: int) -> Tensor:
    """How many users send something to each user's server, at least 1."""
    counts = torch.zeros(*servers.shape[:-1], num_servers, device=servers.device)
    counts.scatter_add_(-1, servers, active.to(counts.dtype))
    return counts.gather(-1, servers).clamp(min=1.0)


def admitted(model: Model, saving: Tensor, may: Tensor, servers: Tensor, num_servers: int) -> Tensor:
    """Whom the QPUs take: at most one of each server's users        [MEQC, eq. 13b].

    Args:
        saving: what the QPU is cheaper by, (B, U).   may: whether the QPU could take the user, bool (B, U).
        servers: int64 (B, U).   num_servers: E.

    Returns:
        bool (B, U).
    """
    if model.qpu_use == "economic":
        may = may & (saving > 0)
    users = torch.arange(servers.shape[-1], device=servers.device).expand_as(servers)
    worth = saving if model.qpu_admission == "max_saving" else -users.to(saving.dtype)
    worth = torch.where(may, worth, float("-inf"))
    best = torch.full((*servers.shape[:-1], num_servers), float("-inf"), dtype=worth.dtype, device=worth.device)
    best = best.scatter_reduce(-1, servers, worth, "amax")
    ties = may & (worth == best.gather(-1, servers))
    first = torch.full_like(best, servers.shape[-1], dtype=torch.long)
    first = first.scatter_reduce(-1, servers, torch.where(ties, users, servers.shape[-1]), "amin")
    return ties & (users == first.gather(-1, servers))

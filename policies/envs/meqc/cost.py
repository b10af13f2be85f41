"""What an action costs, term by term, as the MEQC paper writes it: the reference that everything faster is held to.

Source: MEQC, eqs (1) to (13). One user after the other in plain Python; :mod:`policies.envs.meqc.batch` is the same
for thousands of slots. The paper's letters are the keys of :meth:`Breakdown.document`: it reads beside the text.

Deviations: eq. (9) prints its first terms d^Q and e^Q twice, the first of each are d^O and e^O as in eq. (6). Eqs (11)
and (12) force a task that fits onto the QPU, (13b) admits one a server and says nothing of the others: they run on the
server's processor, and ``Model.qpu_admission`` says who is let in. A user with a share of 1 sends nothing and occupies
no QPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from circuits.concatenation import physical_qubits
from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.meqc.hardware import hardware
from policies.envs.meqc.instance import Instance
from policies.envs.meqc.model import LEVELS, Model


@dataclass(frozen=True)
class Terms:
    """One user's terms; costs are weighted sums of delay and energy.

    Attributes:
        server: that the user chose.   share: what it processes itself.
        rate_bps: r, of its uplink.   snr: p g / sigma^2.
        local_s, local_j: of its own share.        [MEQC, eq. 1]
        upload_s, upload_j: of sending the rest.        [MEQC, eqs 2, 3]
        cpu_s, cpu_j: of the rest on the server's processor.        [MEQC, eqs 4, 5]
        qpu_s, qpu_j: of the rest on its QPU.        [MEQC, eqs 7, 8]
        success: M, not clamped.        [MEQC, eq. 10]
        fits: I: whether the QPU may take it.        [MEQC, eq. 11]
        local_cost: c^L, eq. 1.   cpu_cost: c^E, eq. 6.   qpu_cost: c^Q, eq. 9.
        cost_with_cpu, cost_with_qpu: of everything, if the server takes the one or the other.
        on_qpu: which it took.
    """

    server: int
    share: float
    rate_bps: float
    snr: float
    local_s: float
    local_j: float
    upload_s: float
    upload_j: float
    cpu_s: float
    cpu_j: float
    qpu_s: float
    qpu_j: float
    success: float
    fits: bool
    local_cost: float
    cpu_cost: float
    qpu_cost: float
    cost_with_cpu: float
    cost_with_qpu: float
    on_qpu: bool = False

    @property
    def cost(self) -> float:
        """What came of it."""
        return self.cost_with_qpu if self.on_qpu else self.cost_with_cpu

    @property
    def saving(self) -> float:
        """What the QPU is cheaper by; negative if it is dearer."""
        return self.cost_with_cpu - self.cost_with_qpu


LETTERS = {
    "server": "a",
    "share": "phi",
    "rate_bps": "r",
    "snr": "snr",
    "local_s": "dL",
    "local_j": "eL",
    "upload_s": "dO",
    "upload_j": "eO",
    "cpu_s": "dE",
    "cpu_j": "eE",
    "qpu_s": "dQ",
    "qpu_j": "eQ",
    "success": "M",
    "fits": "I",
    "local_cost": "cL",
    "cpu_cost": "cE",
    "qpu_cost": "cQ",
    "cost_with_cpu": "tot_E",
    "cost_with_qpu": "tot_Q",
    "on_qpu": "quantum",
    "cost": "cost",
}
"""How files call the terms: the paper's letters."""


@dataclass(frozen=True)
class Breakdown:
    """Costs of one slot.

    Attributes:
        total: C(a, phi), eq. (12) under (13b).   users: terms of each.
    """

    total: float
    users: tuple[Terms, ...]

    def document(self) -> dict[str, Any]:
        """As it is written to a file."""
        users = [{letter: getattr(user, name) for name, letter in LETTERS.items()} for user in self.users]
        return {"total": self.total, "users": users}


def evaluate(model: Model, instance: Instance, servers: Sequence[int], shares: Sequence[float]) -> Breakdown:
    """Cost of an action.

    Args:
        model: the reading.   instance: the slot.
        servers: a, each user's server.   shares: phi, what each user processes itself.

    Raises:
        InvalidParameter: not one server and share for each user, or one out of range.
    """
    _check(instance, servers, shares)
    active = [server for server, share in zip(servers, shares, strict=True) if share < 1.0]
    users = [
        _terms(model, instance, user, server, share, active.count(server))
        for user, (server, share) in enumerate(zip(servers, shares, strict=True))
    ]
    for server in set(active):
        admitted = _admitted(model, [number for number, one in enumerate(users) if one.server == server], users)
        if admitted is not None:
            users[admitted] = replace(users[admitted], on_qpu=True)
    return Breakdown(math.fsum(user.cost for user in users), tuple(users))


def _check(instance: Instance, servers: Sequence[int], shares: Sequence[float]) -> None:
    for name, given in (("a", servers), ("phi", shares)):
        if len(given) != instance.num_users:
            raise InvalidParameter(f"{name}: wanted {instance.num_users} numbers, one for each user, got {len(given)}")
    for server in servers:
        if isinstance(server, bool) or not isinstance(server, int) or not 0 <= server < instance.num_servers:
            raise InvalidParameter(f"a: wanted integers in [0, {instance.num_servers - 1}], got {short(server)}")
    for share in shares:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0.0 <= share <= 1.0:
            raise InvalidParameter(f"phi: wanted numbers in [0, 1], got {short(share)}")


def _terms(model: Model, instance: Instance, user: int, server: int, share: float, num_active: int) -> Terms:
    """Everything about one user but whom the QPU admits.

    Args:
        num_active: users that send something to this server, this one included if it does.
    """
    rest = 1.0 - share
    work = float(instance.size_byte[user] * instance.cycles_per_byte[user])  # cycles
    delay, energy = float(instance.delay_weight[user]), float(instance.energy_weight[user])

    # c^L = lambda^D phi s n / f^L + lambda^E gamma phi s n        [MEQC, eq. 1]
    local_hz = float(instance.local_hz[user])
    chip = model.chip_j_per_cycle * ((local_hz / 1e9) ** 2 if model.local_chip == "frequency_squared" else 1.0)
    local_s, local_j = share * work / local_hz, chip * share * work

    # r = B log2(1 + p g / sigma^2);  d^O = (1 - phi) s / r;  e^O = p d^O        [MEQC, eqs 2, 3]
    snr = float(instance.transmit_w[user] * instance.gain[user, server]) / model.noise_w
    sharers = max(1, num_active) if model.bandwidth == "shared" else 1
    rate_bps = model.bandwidth_hz / sharers * math.log2(1.0 + snr)
    upload_s = rest * float(instance.size_byte[user]) * model.bits_per_byte / rate_bps
    upload_j = float(instance.transmit_w[user]) * upload_s

    # d^E = (1 - phi) s n / f^E;  e^E = gamma (1 - phi) s n        [MEQC, eqs 4, 5]
    cpu_s, cpu_j = rest * work / float(instance.edge_hz[user]), model.chip_j_per_cycle * rest * work

    qpu = _quantum(model, instance, user, server)
    qpu_s, qpu_j = rest * qpu.run_s, rest * qpu.energy_j
    whole = max if model.overlap == "max" else _sum
    return Terms(
        server=server,
        share=float(share),
        rate_bps=rate_bps,
        snr=snr,
        local_s=local_s,
        local_j=local_j,
        upload_s=upload_s,
        upload_j=upload_j,
        cpu_s=cpu_s,
        cpu_j=cpu_j,
        qpu_s=qpu_s,
        qpu_j=qpu_j,
        success=qpu.success,
        fits=qpu.fits,
        local_cost=delay * local_s + energy * local_j,
        cpu_cost=delay * (upload_s + cpu_s) + energy * (upload_j + cpu_j),  # [MEQC, eq. 6]
        qpu_cost=delay * (upload_s + qpu_s) + energy * (upload_j + qpu_j),  # [MEQC, eq. 9]
        cost_with_cpu=delay * whole(local_s, upload_s + cpu_s) + energy * (local_j + upload_j + cpu_j),
        cost_with_qpu=delay * whole(local_s, upload_s + qpu_s) + energy * (local_j + upload_j + qpu_j),
    )


def _sum(first: float, second: float) -> float:
    return first + second


@dataclass(frozen=True)
class _Quantum:
    """A server's QPU for one user: whether it may take the task, and what all of the task would take it."""

    fits: bool
    success: float
    run_s: float
    energy_j: float


def _quantum(model: Model, instance: Instance, user: int, server: int) -> _Quantum:
    """At the level of the model's choice; "auto" takes the cheapest that fits, or the lowest if none does."""
    if model.concatenation == "server":
        return _at_level(model, instance, user, server, int(instance.level[server]))
    levels = LEVELS if model.concatenation == "auto" else (int(model.concatenation),)
    each = [_at_level(model, instance, user, server, level) for level in levels]
    delay, energy = float(instance.delay_weight[user]), float(instance.energy_weight[user])
    fitting = [one for one in each if one.fits]
    return min(fitting, key=lambda one: delay * one.run_s + energy * one.energy_j, default=each[0])


def _at_level(model: Model, instance: Instance, user: int, server: int, level: int) -> _Quantum:
    machine = hardware(model)
    qubits, depth = int(instance.num_qubits[user]), int(instance.depth[user])
    physical = physical_qubits(qubits, level)
    have = int(instance.qubits[server])
    # I = 1 if Q <= Q^E and M >= 2/3        [MEQC, eq. 11]
    success = machine.success(qubits, depth, level)
    fits = (qubits if model.qubit_capacity == "logical" else physical) <= have and success >= model.least_success
    size_byte = float(instance.size_byte[user])
    if model.quantum_time == "eq7":
        # d^Q = s Q (tau_1 N_1 + tau_2 N_2 + tau_M N_M);  e^Q = s Q (P_1 N_1 + P_2 N_2 + P_M N_M + P_Q 91^k)
        units = size_byte / model.work_unit_byte * qubits  # [MEQC, eqs 7, 8]
        return _Quantum(fits, success, units * machine.busy_s[level], units * machine.power_w[level])
    # shots D 3^k tau_step / copies, and the power of all copies meanwhile (ours)
    copies = max(1, have // physical)
    run_s = size_byte / model.ray_byte * depth * 3**level * model.cryogenics.timestep_s / copies
    return _Quantum(fits, success, run_s, run_s * copies * qubits * machine.power_w[level])


def _admitted(model: Model, numbers: Sequence[int], users: Sequence[Terms]) -> int | None:
    """Whom of a server's users its QPU takes: at most one        [MEQC, eq. 13b]."""
    may = [number for number in numbers if users[number].fits and users[number].share < 1.0]
    if model.qpu_use == "economic":
        may = [number for number in may if users[number].saving > 0.0]
    if model.qpu_admission == "lowest_index":
        return min(may, default=None)
    return max(may, key=lambda number: (users[number].saving, -number), default=None)

"""What an action costs, user after user in plain Python: the reference that everything faster is held to.

Source: QCN paper, Section V: "cost d latency + e energy" under weights of delay and energy; the rest is ours. A node
divides its uplink and its processor evenly among those who send it something. An edge node forwards what it cannot
simulate to the last cloud: such a user is on that cloud's link and processor, at the rate to the edge node it chose.
Device and node work at the same time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.envs.qcn.instance import Instance
from policies.envs.qcn.model import Model


@dataclass(frozen=True)
class Terms:
    """One user's terms.

    Attributes:
        server: that the user chose.   reached: that does the work.   forwarded: whether it is another one.
        share: what it processes itself.   qubits: of its circuits.   work_flop: of its task.
        crowd: users that the reached place serves.
        local_s, upload_s, run_s, way_s: of its own share; of the rest, sent, run, and on its way there and back.
        delay_s, energy_j, cost: what came of it.
    """

    server: int
    reached: int
    forwarded: bool
    share: float
    qubits: int
    work_flop: float
    crowd: int
    local_s: float
    upload_s: float
    run_s: float
    way_s: float
    delay_s: float
    energy_j: float
    cost: float


LETTERS = {
    "server": "a",
    "reached": "dest",
    "forwarded": "fw",
    "qubits": "q",
    "work_flop": "W",
    "crowd": "m",
    "local_s": "local_s",
    "upload_s": "upload_s",
    "run_s": "run_s",
    "way_s": "way_s",
    "delay_s": "lat",
    "energy_j": "en",
    "cost": "cost",
}
"""How files call the terms."""


@dataclass(frozen=True)
class Breakdown:
    """Costs of one slot.

    Attributes:
        total: of all users.   users: terms of each.
    """

    total: float
    users: tuple[Terms, ...]

    def document(self) -> dict[str, Any]:
        """As it is written to a file."""
        users = [
            {letter: getattr(user, name) for name, letter in LETTERS.items()} | {"rho": 1.0 - user.share}
            for user in self.users
        ]
        return {"total": self.total, "users": users}


def evaluate(model: Model, instance: Instance, servers: Sequence[int], shares: Sequence[float]) -> Breakdown:
    """Cost of an action.

    Args:
        servers: the place of each user.   shares: what each keeps, in [0, 1].

    Raises:
        InvalidParameter: not one of each for every user, no such place, or no share.
    """
    for name, given in (("servers", servers), ("shares", shares)):
        if len(given) != instance.num_users:
            raise InvalidParameter(f"{name}: wanted {instance.num_users}, one a user, got {len(given)}")
    for server, share in zip(servers, shares, strict=True):
        if not 0 <= server < instance.num_servers:
            raise InvalidParameter(f"servers: wanted places in [0, {instance.num_servers - 1}], got {short(server)}")
        if not 0.0 <= share <= 1.0:
            raise InvalidParameter(f"shares: wanted numbers in [0, 1], got {short(share)}")
    reached = [_reached(model, instance, user, server) for user, server in enumerate(servers)]
    crowd = Counter(place for place, share in zip(reached, shares, strict=True) if share < 1.0)
    users = tuple(
        _terms(model, instance, user, servers[user], reached[user], shares[user], crowd[reached[user]])
        for user in range(instance.num_users)
    )
    return Breakdown(sum(user.cost for user in users), users)


def _reached(model: Model, instance: Instance, user: int, server: int) -> int:
    able = instance.is_cloud[server] or instance.qubits[user] <= model.edge_qubits
    return server if able else instance.num_servers - 1


def _terms(model: Model, instance: Instance, user: int, server: int, reached: int, share: float, crowd: int) -> Terms:
    work, rest, cloud = float(instance.work_flop[user]), 1.0 - share, bool(instance.is_cloud[reached])
    sends = rest > 0.0
    local_s = share * work / float(instance.local_flops[user])
    upload_s = rest * float(instance.size_bit[user]) / float(instance.rate_bps[user, server]) * crowd
    run_s = rest * work / float(instance.server_flops[reached]) * crowd
    way_s = (model.edge_s + cloud * model.cloud_s) if sends else 0.0
    delay_s = max(local_s, upload_s + run_s + way_s)
    there_j = model.cloud_j_per_flop if cloud else model.edge_j_per_flop
    energy_j = work * (share * model.local_j_per_flop + rest * there_j) + model.radio_w * upload_s
    cost = float(instance.delay_weight[user]) * delay_s / model.norm_s
    cost += float(instance.energy_weight[user]) * energy_j / model.norm_j
    return Terms(
        server=server,
        reached=reached,
        forwarded=reached != server,
        share=share,
        qubits=int(instance.qubits[user]),
        work_flop=work,
        crowd=crowd,
        local_s=local_s,
        upload_s=upload_s,
        run_s=run_s,
        way_s=way_s,
        delay_s=delay_s,
        energy_j=energy_j,
        cost=cost,
    )

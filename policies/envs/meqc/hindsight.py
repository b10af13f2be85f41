"""The best there is in an episode of ``MEQC-v2`` for somebody who knew all of it before: no play costs less.

Source: ours. A mixed-integer program over the episode (HiGHS): each task is shared between its user, a processor and
the QPUs that would take it; a QPU has one task in any ``hold_slots`` slots; a battery pays for its episode. Its linear
relaxation is a lower bound, too, and takes seconds where the program takes hours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from circuits.errors import InvalidParameter
from policies.envs.hindsight import Hindsight
from policies.envs.meqc.baselines import priced, stay_local
from policies.envs.meqc.batch import Slots, local
from policies.envs.meqc.sequential import SequentialSetting, SequentialWorld


def hindsight(
    setting: SequentialSetting,
    seed: int,
    num_worlds: int = 1,
    *,
    first: int | None = None,
    relaxed: bool = True,
    time_limit_s: float = 60.0,
) -> list[Hindsight]:
    """Of the first episode of each of so many worlds with this seed.

    Args:
        first: of how many of them; None: of all.
        relaxed: solve the linear relaxation alone.   time_limit_s: of each world's program.

    Raises:
        InvalidParameter: costs are not linear in the shares, or there was no solution in time.
    """
    if not setting.model.is_linear:
        raise InvalidParameter(
            "model: wanted one whose costs are linear in the shares, got one with overlap or sharing"
        )
    episode = _episode(setting, seed, num_worlds)
    return [
        _solved(setting, _program(setting, [_one(slots, world) for slots in episode]), relaxed, time_limit_s)
        for world in range(num_worlds if first is None else first)
    ]


def _solved(setting: SequentialSetting, program: _Program, relaxed: bool, time_limit_s: float) -> Hindsight:
    found = milp(
        program.cost,
        integrality=np.where(program.whole, 0 if relaxed else 1, 0),
        bounds=Bounds(0.0, program.most),
        constraints=program.constraint,
        options={"time_limit": time_limit_s, "mip_rel_gap": 1e-6},
    )
    bound = found.fun if relaxed else found.mip_dual_bound
    if found.x is None or bound is None:
        raise InvalidParameter(f"hindsight: no solution within {time_limit_s:g} s ({found.message}); allow more time")
    return Hindsight(float(bound) / setting.episode_slots, not relaxed and found.status == 0)


def _episode(setting: SequentialSetting, seed: int, num_worlds: int) -> list[Slots]:
    """All slots of an episode; what is done in them does not change them but for QPUs held."""
    world, seen = SequentialWorld(setting, num_worlds, seed, dtype=torch.float64), []
    for _ in range(setting.episode_slots):
        seen.append(replace(world.slots, ready=None))
        world.step(stay_local(setting.model, world.slots, torch.Generator()))
    return seen


def _one(slots: Slots, world: int) -> Slots:
    known = {name: values for name, values in vars(slots).items() if values is not None}
    return replace(slots, **{name: values[world : world + 1] for name, values in known.items()})


@dataclass(frozen=True)
class _Program:
    cost: np.ndarray
    most: np.ndarray
    whole: np.ndarray
    constraint: LinearConstraint


class _Rows:
    """Linear constraints as they are found: entries, and the most that each row may come to."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, int, float]] = []
        self.least: list[float] = []
        self.most: list[float] = []

    def add(self, columns: list[int], values: list[float], least: float, most: float) -> None:
        self.entries += [(len(self.most), column, value) for column, value in zip(columns, values, strict=True)]
        self.least.append(least)
        self.most.append(most)

    def constraint(self, num_columns: int) -> LinearConstraint:
        rows, columns, values = zip(*self.entries, strict=True)
        matrix = coo_array((values, (rows, columns)), shape=(len(self.most), num_columns)).tocsr()
        return LinearConstraint(matrix, self.least, self.most)


def _program(setting: SequentialSetting, episode: list[Slots]) -> _Program:
    """Of each task: its user's share, the cheapest processor's, and for each QPU its share and whether it is held."""
    num_slots, num_users, num_servers = len(episode), setting.users, setting.servers
    known = [priced(setting.model, slots) for slots in episode]
    own = np.stack([each.local[0].numpy() for each in known])
    cpu = np.stack([each.cpu[0].amin(-1).numpy() for each in known])
    qpu = np.stack([each.qpu[0].numpy() for each in known])
    takes = np.stack([each.takes[0].numpy() for each in known])
    own_j = np.stack([local(setting.model, slots)[1][0].numpy() for slots in episode])
    tasks = num_slots * num_users
    at = np.arange(tasks).reshape(num_slots, num_users)
    on = 2 * tasks + np.arange(tasks * num_servers).reshape(num_slots, num_users, num_servers)
    holds = on + tasks * num_servers
    size = 2 * tasks * (1 + num_servers)

    rows = _Rows()
    for slot in range(num_slots):
        for user in range(num_users):
            shares, held = on[slot, user].tolist(), holds[slot, user].tolist()
            rows.add([int(at[slot, user]), int(tasks + at[slot, user]), *shares], [1.0] * (2 + num_servers), 1.0, 1.0)
            rows.add([int(tasks + at[slot, user]), *held], [1.0] * (1 + num_servers), 0.0, 1.0)  # one way for the rest
            for share, hold in zip(shares, held, strict=True):
                rows.add([share, hold], [1.0, -1.0], -np.inf, 0.0)
        for server in range(num_servers):
            held = holds[max(0, slot - setting.hold_slots + 1) : slot + 1, :, server].ravel().tolist()
            rows.add(held, [1.0] * len(held), 0.0, 1.0)
    for user in range(num_users):
        rows.add(at[:, user].tolist(), own_j[:, user].tolist(), 0.0, setting.battery_j)
    cost = np.concatenate([own.ravel(), cpu.ravel(), np.where(takes, qpu, 0.0).ravel(), np.zeros(holds.size)])
    most = np.concatenate([np.ones(2 * tasks), takes.ravel().astype(float), takes.ravel().astype(float)])
    whole = np.arange(size) >= holds.min()
    return _Program(cost, most, whole, rows.constraint(size))

"""Requests that nobody knew of when a run began: they come while it goes on, as jobs do, and may leave again.

Each takes a spare row behind those of the episode, so that without guests nothing is different: the same luck, the same
trace. What comes at a slot is seen by its decisions, as what :func:`policies.envs.entanglement.kernel.arrive` lets in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from policies.envs.entanglement import state as states
from policies.envs.entanglement.play import Run
from policies.envs.entanglement.topology import Wholes
from policies.envs.qnum.werner import werner

NEVER = 2**31 - 1
"""A slot after all others: births of pairs are kept in 32 bits."""
SPARE = 256
"""Rows that are made at a time."""
_PLAN = {"arrival": NEVER, "pair": 0, "num_pairs": 0, "log_min": 0.0, "deadline": NEVER}
_STATE = {
    "pending": 0,
    "able": 0,
    "choice": states.WAIT,
    "wanted": 0,
    "left": 0,
    "status": states.FUTURE,
    "done_slot": -1,
    "blocked": 0,
    "harmed": 0,
    "decide_slot": 0,
    "fidelity": 0.0,
}
"""Arrays with a row for each request, and what a row holds that nobody has taken."""


class Guests:
    """Of a run that was begun with ``trace=True``; it has no end then, only its own requests have."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._next = run.state.status.size
        run.plan = run.plan._replace(num_slots=NEVER - 1)

    def ask(self, pair: int, num_pairs: int, min_fidelity: float, deadline: int) -> int:
        """A request that comes now; tells its row.

        Args:
            pair: of the episode's demand.   deadline: slot at whose beginning it is over.
        """
        if self._next == self.run.plan.arrival.size:
            self._make_rows()
        row: int = self._next
        slot, plan, state = self.run.slot, self.run.plan, self.run.state
        self._next += 1
        plan.arrival[row], plan.pair[row], plan.num_pairs[row], plan.deadline[row] = slot, pair, num_pairs, deadline
        plan.log_min[row] = np.log(max(werner(min_fidelity), 1e-300))
        state.left[row], state.status[row], state.decide_slot[row] = num_pairs, states.PENDING, slot
        num = int(state.count[states.NUM_PENDING])
        place = int(np.searchsorted(plan.deadline[state.pending[:num]], deadline, side="right"))
        state.pending[place + 1 : num + 1] = state.pending[place:num].copy()
        state.pending[place] = row
        state.count[states.NUM_PENDING] = num + 1
        return row

    def waits(self, row: int) -> bool:
        """Whether a request is still there."""
        return bool(self.run.state.status[row] == states.PENDING)

    def leave(self, row: int) -> None:
        """A request that waits is given up."""
        state = self.run.state
        if not self.waits(row):
            return
        state.queue[:] -= self.queued(row)
        state.status[row], state.done_slot[row] = states.EXPIRED, self.run.slot
        num = int(state.count[states.NUM_PENDING])
        others = state.pending[:num][state.pending[:num] != row]
        state.pending[: num - 1] = others
        state.count[states.NUM_PENDING] = num - 1

    def queued(self, row: int) -> Wholes:
        """Pairs of each link that a request waits for, int64 (E,)."""
        plan, state = self.run.plan, self.run.state
        found, action = np.zeros(state.queue.size, np.int64), int(state.choice[row])
        if self.waits(row) and action >= 0:
            pair, path = plan.pair[row], action % plan.num_paths
            found[plan.links[pair, path, : plan.hops[pair, path]]] = state.left[row] * (action // plan.num_paths + 1)
        return found

    def came(self) -> Iterator[tuple[int, int, float]]:
        """Slot, row and fidelity of the pairs that came since this was last asked."""
        traced, self.run.traced = self.run.traced, []
        first = self.run.episode.requests.num
        for whole, value in traced:
            of_guests = (whole[:, states.T_KIND] == states.DELIVER) & (whole[:, states.T_REQUEST] >= first)
            rows = whole[of_guests][:, [states.T_SLOT, states.T_REQUEST]].tolist()
            for (slot, row), fidelity in zip(rows, value[of_guests].tolist(), strict=True):
                yield slot, row, fidelity

    def _make_rows(self) -> None:
        run, more = self.run, max(SPARE, self._next - self.run.episode.requests.num)
        run.plan = run.plan._replace(
            **{name: _longer(getattr(run.plan, name), more, each) for name, each in _PLAN.items()}
        )
        run.state = run.state._replace(
            **{name: _longer(getattr(run.state, name), more, each) for name, each in _STATE.items()}
        )


def _longer(rows: Any, more: int, empty: float) -> Any:
    return np.concatenate((rows, np.full(more, empty, rows.dtype)))

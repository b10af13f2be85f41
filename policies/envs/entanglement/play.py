"""Running the world: begin, advance with decisions from outside, or play a local policy to the end.

    world = build(EntanglementSetting(topology_seed=3))
    run = begin(world)
    while run.slot < run.num_slots:
        advance(run, run.slot + 25, choice=choice, shares=shares)  # every T_c; None leaves things as they are
    run.state.stock, run.state.queue, …

The loop is compiled by numba, which comes with the extra ``sparse``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from circuits.errors import DependencyNotInstalled, InvalidParameter
from policies.envs.entanglement import state as states
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.state import Plan, Rule, State
from policies.envs.entanglement.topology import Reals, Wholes

TRACED = 1 << 16
"""Events that there is room for at once."""


@dataclass(eq=False)
class Run:
    """An episode that is being played; ``state`` is changed in place.

    Attributes:
        traced: events until now, whole (n, 4) and value (n,), if asked for.
    """

    episode: Episode
    plan: Plan
    state: State
    rule: Rule
    traced: list[tuple[Wholes, Reals]]

    @property
    def slot(self) -> int:
        """Of now: what decisions are next made for."""
        return int(self.state.count[states.SLOT])

    @property
    def num_slots(self) -> int:
        """Of the episode."""
        return self.plan.num_slots


def begin(episode: Episode, rule: Rule | None = None, *, record: int = 0, trace: bool = False) -> Run:
    """The beginning of slot 0, with its requests.

    Args:
        rule: who decides within the loop; None: paths and shares are told by :func:`advance`, new requests take their
            first path and shares are uniform until then.
        record: 0 nothing, 1 decisions and shares, 2 features too.   trace: whether events are kept.

    Raises:
        DependencyNotInstalled: numba is missing.
    """
    given = states.plan(episode, record)
    run = Run(episode, given, states.blank(episode, given, TRACED if trace else 0), rule or states.rule(), [])
    return advance(run, 0)


def advance(run: Run, until: int, *, choice: Wholes | None = None, shares: Reals | None = None) -> Run:
    """Play to the beginning of a slot, and tell so the same run.

    Args:
        until: slot, at most the number of slots.
        choice: action of every request, int64 (R,), also of those that are still to come; for rule FIXED.
        shares: of every node, float64 (2 E,), each node's on the simplex; for rule S_FIXED.

    Raises:
        InvalidParameter: shares that are none, or actions that there are not.
    """
    kernel, plan, state = _kernel(), run.plan, run.state
    if choice is not None:
        most = plan.num_paths * (plan.most_rounds + 1)
        if choice.shape != state.wanted.shape or not ((choice >= states.WAIT) & (choice < most)).all():
            raise InvalidParameter(f"choice: wanted {state.wanted.size} integers in [-1, {most}), got others")
        state.wanted[:] = choice
    if shares is not None:
        _check_shares(run, shares)
        state.shares[:], state.count[states.TOLD] = shares, 1
    while not kernel.advance(plan, run.state, run.rule, min(until, plan.num_slots)):
        _make_room(run)
    _empty(run)
    return run


def play(
    episode: Episode,
    rule: Rule,
    *,
    record: int = 0,
    trace: bool = False,
    tell: Callable[[int], None] | None = None,
    step: int = 300,
) -> Run:
    """A whole episode of a local rule.

    Args:
        tell: is called with the slot every ``step`` slots, for progress bars.
    """
    run = begin(episode, rule, record=record, trace=trace)
    while run.slot < run.num_slots:
        advance(run, run.slot + step if tell else run.num_slots)
        if tell:
            tell(run.slot)
    return run


def _empty(run: Run) -> None:
    """Carry the traced events away."""
    num = int(run.state.count[states.TRACED])
    if num:
        run.traced.append((run.state.trace[:num].copy(), run.state.trace_value[:num].copy()))
    run.state.count[states.TRACED] = 0


def _make_room(run: Run) -> None:
    """More rows for whatever may be short of them."""
    state, asked = run.state, 2 * int(run.state.count[states.NUM_PENDING]) + run.state.status.size
    _empty(run)
    more: dict[str, Any] = {}
    if state.trace.size and state.trace_value.size < asked + TRACED:
        more |= {name: _longer(getattr(state, name), asked + TRACED) for name in ("trace", "trace_value")}
    if run.plan.record:
        names = ("decisions", "log_prob", "features")[: run.plan.record + 1]
        more |= {name: _longer(getattr(state, name), asked) for name in names}
    run.state = state._replace(**more)


def _longer(rows: Any, least: int) -> Any:
    return np.concatenate((rows, np.zeros((max(rows.shape[0], least), *rows.shape[1:]), rows.dtype)))


def _check_shares(run: Run, shares: Reals) -> None:
    topology = run.episode.topology
    if shares.shape != run.state.shares.shape or not (shares >= 0.0).all():
        raise InvalidParameter(f"shares: wanted {run.state.shares.size} numbers of at least 0, got others")
    sums = np.add.reduceat(shares, topology.first[:-1])
    if not (np.abs(sums - 1.0) < 1e-6).all():
        worst = int(np.abs(sums - 1.0).argmax())
        raise InvalidParameter(f"shares: wanted sum 1 at every node, got {sums[worst]:g} at node {worst}")


def _kernel() -> Any:
    try:
        from policies.envs.entanglement import kernel
    except ModuleNotFoundError as error:
        if error.name != "numba":
            raise
        raise DependencyNotInstalled("the entanglement network", "numba", "sparse") from error
    return kernel

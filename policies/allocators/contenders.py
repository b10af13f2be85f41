"""Everybody who serves requests in ``Entanglement-v1``, by name, behind one call.

| name | paths | shares |
|---|---|---|
| static | first candidate (shortest) | uniform |
| shortest, random, local | first, any, hand rule | hand rule at each node |
| central_full …, te, qprimaldual, greedy_oracle | see :mod:`policies.allocators.central` | |

Learned policies are no part of this table: they come as a :class:`Contender` of their own (:func:`by_rule`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.allocators.central import STYLES, control
from policies.envs.entanglement import play, state
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.topology import Reals

Play = Callable[[Episode, float, float, int], tuple[play.Run, Reals]]


@dataclass(frozen=True)
class Contender:
    """A policy.

    Attributes:
        play: from episode, delay τ, period T_c and hold to the run and wall times of its decisions.
        knows_delay: whether its news can be old.   knows_period: whether it decides every T_c,
            but no more often than every ``least_period_s``.
        checkpoint: name of what was trained, empty for rules.
    """

    play: Play
    knows_delay: bool = True
    knows_period: bool = False
    least_period_s: float = 0.0
    checkpoint: str = ""


def by_rule(
    rule_of: Callable[[Episode, int], state.Rule], *, knows_delay: bool = True, checkpoint: str = ""
) -> Contender:
    """One that decides within the compiled loop.

    Args:
        rule_of: from episode and hold.   checkpoint: name of what was trained.
    """

    def plays(episode: Episode, _delay_s: float, _period_s: float, hold: int) -> tuple[play.Run, Reals]:
        return play.play(episode, rule_of(episode, hold)), np.zeros(0)

    return Contender(plays, knows_delay, checkpoint=checkpoint)


def _local(name: str) -> Contender:
    return by_rule(lambda _, hold: state.local(name, hold=hold), knows_delay=name == "local")


def _central(style: str) -> Contender:
    def plays(episode: Episode, delay_s: float, period_s: float, hold: int) -> tuple[play.Run, Reals]:
        found = control(episode, style, delay_s=delay_s, period_s=period_s, hold=hold)
        return found.run, found.solve_s

    there = not STYLES[style].oracle
    return Contender(plays, knows_delay=there, knows_period=there, least_period_s=STYLES[style].least_period_s)


CONTENDERS: dict[str, Contender] = {
    **{name: _local(name) for name in state.LOCALS},
    **{style: _central(style) for style in STYLES},
}
"""By name."""


def contender(name: str) -> Contender:
    """By name.

    Raises:
        InvalidParameter: nobody has that name; the message lists all.
    """
    if name not in CONTENDERS:
        raise InvalidParameter(f"policy: wanted one of {', '.join(CONTENDERS)}, got {short(name)}")
    return CONTENDERS[name]

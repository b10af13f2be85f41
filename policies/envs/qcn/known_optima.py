"""The best action of each of many slots, remembered on disk; see :mod:`policies.envs.known_optima`."""

from __future__ import annotations

from dataclasses import fields, replace

import torch

from policies.envs.known_optima import Source
from policies.envs.qcn.batch import Slots, settle
from policies.envs.qcn.instance import Instance
from policies.envs.qcn.optimum import optima


def unhindered(slots: Slots) -> Slots:
    """The same tasks with nothing to wait for: no action costs more."""
    return slots if slots.backlog_s is None else replace(slots, backlog_s=torch.zeros_like(slots.backlog_s))


COLUMNS = tuple(item.name for item in fields(Instance))
SOURCE = Source("qcn-optima", 1, COLUMNS, optima, settle)

SEQUENTIAL = Source("qcn-optima", 1, (*COLUMNS, "backlog_s"), optima, settle, unhindered)
"""Of slots of an episode: the best with what is waited for now, whatever it leaves to those who come later."""

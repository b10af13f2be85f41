"""The best action of each of many slots, remembered on disk; see :mod:`policies.envs.known_optima`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from policies.envs import known_optima
from policies.envs.known_optima import Best, Source, Tell
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.instance import Instance
from policies.envs.meqc.model import Model
from policies.envs.meqc.optimum import Optimum, optimum


def _find(model: Model, slots: Slots) -> Sequence[Optimum]:
    return [optimum(model, instance) for instance in slots.unstacked()]


SOURCE = Source("meqc-optima", 1, tuple(item.name for item in fields(Instance)), _find, settle)


def best_actions(model: Model, slots: Slots, folder: Path | None = None, tell: Tell | None = None) -> Best:
    """The best action that is known of every slot; every QPU free and as good as the model's."""
    return known_optima.best_actions(SOURCE, model, slots, folder, tell)

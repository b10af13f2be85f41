"""The best action of each of many slots, remembered on disk; see :mod:`policies.envs.known_optima`."""

from __future__ import annotations

from dataclasses import fields

from policies.envs.known_optima import Source
from policies.envs.qcn.batch import settle
from policies.envs.qcn.instance import Instance
from policies.envs.qcn.optimum import optima

SOURCE = Source("qcn-optima", 1, tuple(item.name for item in fields(Instance)), optima, settle)

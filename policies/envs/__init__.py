"""Simulated worlds in which policies are trained, and what is known exactly about them."""

from typing import Any

from circuits.errors import InvalidParameter
from circuits.registry import resolve

ENVS: dict[str, str] = {
    "MEQC-v1": "policies.envs.meqc.world:World",  # Xu et al., MEQC: independent slots, as in the paper
    "MEQC-v2": "policies.envs.meqc.sequential:SequentialWorld",  # ours: held QPUs, hidden drift, batteries
}
"""Batched worlds by name; a version changes when a world does."""


def load(name: str) -> Any:
    """A world's class by name.

    Raises:
        InvalidParameter: no world has that name; the message lists those that exist.
    """
    return resolve(ENVS, name, kind="world", error=InvalidParameter)

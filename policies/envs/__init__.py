"""Simulated worlds in which policies are trained, and what is known exactly about them."""

from typing import Any

from circuits.errors import InvalidParameter
from circuits.registry import resolve

ENVS: dict[str, str] = {
    "MEQC-v1": "policies.envs.meqc.world:World",  # Xu et al., MEQC: independent slots, as in the paper
    "MEQC-v2": "policies.envs.meqc.sequential:SequentialWorld",  # ours: held QPUs, hidden drift, batteries
    "Measured-v1": "policies.envs.measured.world:World",  # ours: jobs and errors as they were measured
    "Measured-v2": "policies.envs.measured.divided:DividedWorld",  # ours: jobs that may be divided between two places
    "QCN-v1": "policies.envs.qcn.world:World",  # Xu et al., QCN: mobile, edge and cloud nodes, independent slots
    "QCN-v2": "policies.envs.qcn.sequential:SequentialWorld",  # ours: nodes work on what came before
}
"""Batched worlds by name; a version changes when a world does."""

NETWORKS: dict[str, str] = {
    "Entanglement-v1": "policies.envs.entanglement.world:EntanglementWorld",  # ours, after the paper on DPEM
}
"""Worlds of another shape, by name: each is a ``ParallelEnv`` with a ``setting_type``, whose agents are nodes."""


def load(name: str) -> Any:
    """A world's class by name.

    Raises:
        InvalidParameter: no world has that name; the message lists those that exist.
    """
    return resolve(ENVS, name, kind="world", error=InvalidParameter)


def load_network(name: str) -> Any:
    """A network's class by name.

    Raises:
        InvalidParameter: no network has that name; the message lists those that exist.
    """
    return resolve(NETWORKS, name, kind="network", error=InvalidParameter)


def of(setting: Any) -> Any:
    """The world's class that a setting is of.

    Raises:
        InvalidParameter: it is of none.
    """
    for name in ENVS:
        if type(setting) is (kind := load(name)).setting_type:
            return kind
    raise InvalidParameter(f"setting: wanted that of a world ({', '.join(ENVS)}), got {type(setting).__name__}")

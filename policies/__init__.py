"""Who decides where jobs go."""

from circuits.registry import Registry, resolve
from orchestrator.errors import UnknownPolicy
from orchestrator.placement import Policy

_OWN: dict[str, str] = {
    "random": "policies.baselines:Random",
    "round_robin": "policies.baselines:RoundRobin",
    "shortest_queue": "policies.baselines:ShortestQueue",
    "greedy": "policies.baselines:Greedy",  # masked greedy by cost
    "eft": "policies.baselines:EarliestFinish",  # masked earliest finish time; the strong baseline on QSimPy
    "best_fidelity": "policies.baselines:BestFidelity",  # what users do by hand; queues at the best device
}
POLICIES = Registry("qorch.policies", _OWN)
"""Ours, and those of installed packages: see :class:`circuits.registry.Registry`."""


def load(name: str) -> Policy:
    """A policy by name.

    Raises:
        UnknownPolicy: no policy has that name; the message lists those that exist.
    """
    policy: Policy = resolve(POLICIES, name, kind="policy", error=UnknownPolicy)()
    return policy

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
    "bandit": "policies.bandit:Thompson",  # Thompson, Biometrika 25 (1933), on the cost model's uncertainty
    "lcb": "policies.bandit:LowerConfidence",  # optimism in the place of chance
    "joint": "policies.joint:Joint",  # least cost of the batch as a whole
    "nsga2": "policies.nsga2:NSGA2",  # Deb et al. 2002, by pymoo: the peer
    "split": "policies.split:Split",  # shots of one job shared by several backends
}
POLICIES = Registry("qorch.policies", _OWN)
"""Ours, and those of installed packages: see :class:`circuits.registry.Registry`."""


def load(name: str) -> Policy:
    """A policy by name. One that says what it was ``trained_on`` is put behind the guardrails.

    Raises:
        UnknownPolicy: no policy has that name; the message lists those that exist.
    """
    from policies.guarded import Guarded  # needs numpy, which a list of names does not

    member = resolve(POLICIES, name, kind="policy", error=UnknownPolicy)
    policy: Policy = Guarded(member) if hasattr(member, "trained_on") else member()
    return policy

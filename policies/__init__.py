"""Who decides where jobs go."""

from collections.abc import Iterator

from circuits.errors import InvalidParameter
from circuits.registry import Registry, resolve
from orchestrator.errors import UnknownPolicy
from orchestrator.placement import Policy
from policies.shelf import entries, find, is_name

_OWN: dict[str, str] = {
    "random": "policies.baselines:Random",
    "round_robin": "policies.baselines:RoundRobin",
    "shortest_queue": "policies.baselines:ShortestQueue",
    "greedy": "policies.baselines:Greedy",  # masked greedy by cost
    "eft": "policies.baselines:EarliestFinish",  # masked earliest finish time; the strong baseline on QSimPy
    "smith": "policies.order:Smith",  # where `eft` would have them, in the order of Smith 1956
    "best_fidelity": "policies.baselines:BestFidelity",  # what users do by hand; queues at the best device
    "bandit": "policies.bandit:Thompson",  # Thompson, Biometrika 25 (1933), on the cost model's uncertainty
    "lcb": "policies.bandit:LowerConfidence",  # optimism in the place of chance
    "joint": "policies.joint:Joint",  # least cost of the batch as a whole
    "nsga2": "policies.nsga2:NSGA2",  # Deb et al. 2002, by pymoo: the peer
    "split": "policies.split:Split",  # shots of one job shared by several backends
}


class _Policies(Registry):
    """With checkpoints among its members, by names such as ``placing:3f0c``: see :mod:`policies.shelf`.

    A checkpoint that is not there has no name here, but can be had: the guardrails say what decides in its place.
    """

    def __getitem__(self, name: str) -> str:
        return f"policies.shelved:{name}" if is_name(name) else super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or not is_name(name):
            return super().__contains__(name)
        try:
            return bool(find(name))
        except InvalidParameter:
            return False

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        yield from (entry.name for entry in entries())

    def __len__(self) -> int:
        return sum(1 for _ in self)


POLICIES = _Policies("qorch.policies", _OWN)
"""Ours, those of installed packages (see :class:`circuits.registry.Registry`), and trained checkpoints."""


def load(name: str) -> Policy:
    """A policy by name. One that says what it was ``trained_on`` is put behind the guardrails.

    Raises:
        UnknownPolicy: no policy has that name; the message lists those that exist.
    """
    from policies.guarded import Guarded  # needs numpy, which a list of names does not

    member = resolve(POLICIES, name, kind="policy", error=UnknownPolicy)
    policy: Policy = Guarded(member) if hasattr(member, "trained_on") else member()
    return policy

"""The compiled part of a central controller: paths for all requests that it knows of, one after the other.

Ours: requests in order of deadline; each takes the candidate that the local hand rule would take
(:func:`policies.envs.entanglement.rules.survey`, with its constants), but against what those before it have been
promised, not against queues. With news of this very slot, and requests that wait for what is not there now, it is the
perfect-information greedy policy.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from policies.envs.entanglement import rules, state
from policies.envs.entanglement.kernel import digest_of
from policies.envs.entanglement.rules import least_rounds
from policies.envs.entanglement.state import HOP_S, LEAST_HZ, WAIT


@njit
def wait_s(plan: Any, known: Any, request: int, action: int, claimed: Any, taken: Any) -> float:
    """Expected seconds until a path has pairs on each link and a swap at each inner node, beyond what is promised."""
    pair, path, need = plan.pair[request], action % plan.num_paths, action // plan.num_paths + 1
    longest = 0.0
    for hop in range(plan.hops[pair, path]):
        link = plan.links[pair, path, hop]
        longest = max(longest, (claimed[link] + need - known.stock[link]) / max(known.rate[link], LEAST_HZ))
        if hop > 0:
            node = plan.nodes[pair, path, hop]
            short = taken[node] + 1.0 - known.tokens[node]
            longest = max(longest, short / max(plan.swap_hz[node], LEAST_HZ))
    return float(longest)


@njit
def good_enough(plan: Any, known: Any, request: int, action: int, claimed: Any) -> bool:
    """Whether the newest pairs of a path that nobody has been promised are; with purification, it is believed."""
    pair, path = plan.pair[request], action % plan.num_paths
    total = (plan.hops[pair, path] - 1) * plan.log_visibility
    for hop in range(plan.hops[pair, path]):
        link = plan.links[pair, path, hop]
        newest = known.births[link, known.stock[link] - 1 - int(claimed[link])]
        total += plan.log_w[link] - plan.decay * (known.slot - newest)
    return bool(total >= plan.log_min[request] or action >= plan.num_paths)


@njit
def _assign(plan: Any, known: Any, only_ready: bool, actions: Any, claimed: Any, taken: Any) -> None:
    """Fill ``actions`` of the requests known, and what they claim of links and nodes.

    Args:
        plan: of the run.   known: what the controller knows.   only_ready: whether a request waits for a path that is
            ready now.   actions: int64 (Q,).   claimed, taken: pairs of links (E,) and swaps of nodes (N,), float64.
    """
    for place in range(known.pending.size):
        request = known.pending[place]
        best, least = WAIT, 1e300
        for path in range(plan.num_paths):
            action = least_rounds(plan, request, path)
            if action >= 0:
                waiting = wait_s(plan, known, request, action, claimed, taken)
                cost = waiting + HOP_S * plan.hops[plan.pair[request], path]
                ready = only_ready and waiting <= 0.0 and good_enough(plan, known, request, action, claimed)
                if cost < least and (ready or not only_ready):
                    best, least = action, cost
        actions[place] = best
        if best >= 0:
            pair, path, swaps = plan.pair[request], best % plan.num_paths, 1.0 if only_ready else known.left[place]
            for hop in range(plan.hops[pair, path]):
                claimed[plan.links[pair, path, hop]] += swaps * (best // plan.num_paths + 1)
                if hop > 0:
                    taken[plan.nodes[pair, path, hop]] += swaps


def _compiled(sources: int) -> Any:
    """The loop, kept on disk under a digest of all that it is made of: numba itself looks at this file alone."""

    @njit(cache=True)
    def assign(plan: Any, known: Any, only_ready: bool, actions: Any, claimed: Any, taken: Any) -> None:
        if sources != 0:
            _assign(plan, known, only_ready, actions, claimed, taken)

    return assign


assign = _compiled(digest_of(__file__, rules.__file__, state.__file__))

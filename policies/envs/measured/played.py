"""What a play in the arena leaves behind, as a log of the live trip would: requests as they were told, and outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestrator.cost_model.model import CostModel
from orchestrator.placement import Backlog, Choice, Policy, Request, Scales
from policies.arena import World, play
from policies.envs.measured.twin import Measured, work_of


@dataclass
class Listening:
    """A policy that notes what it was asked, and lets another answer."""

    policy: Policy
    requests: list[Request] = field(default_factory=list)

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        """See :class:`orchestrator.placement.Policy`."""
        self.requests += requests
        return self.policy.place(requests, backlog, scales)


def log_of(
    world: World, policy: Policy, model: CostModel | None = None
) -> tuple[list[Request], list[Measured], CostModel]:
    """Play a world.

    Args:
        model: what is known before the first task.

    Returns:
        Every request, what was measured of jobs that went to one backend as a whole, and what is known afterwards.
    """
    listening = Listening(policy)
    ends, model = play(world, listening, model)
    asked = {request.job_id: request for request in listening.requests}
    measured = [
        Measured(
            work_of(asked[f"job-{end.index}"]), name, end.estimates[name], end.service_s, end.fidelity, end.energy_j
        )
        for end in ends
        for name, share in end.choice.items()
        if share == 1.0 and f"job-{end.index}" in asked
    ]
    return listening.requests, measured, model

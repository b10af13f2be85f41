"""What was decided about a job, and all that it was decided on: enough to decide it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.cost_model.model import FOLD_VERSION
from orchestrator.placement import Backlog, Choice, Lane, Queued, Request, Scales


@dataclass(frozen=True)
class Situation:
    """What a policy was told beside the jobs, in one call: whoever tells it again gets the same answer.

    Attributes:
        policy: who answered. Another one than the jobs' own answers where that one could not, and ``instead`` says why.
        num_asked: jobs that it was asked about together; what is pinned is asked about by nobody.
        lanes, load_s, warm_up_s, queue: the backlog, as in :class:`orchestrator.placement.Backlog`.
        fold_version: of the cost model that estimated.
    """

    id: str
    policy: str
    num_asked: int
    lanes: tuple[Lane, ...]
    load_s: Mapping[str, float]
    warm_up_s: Mapping[str, float]
    scales: Scales
    fold_version: int
    instead: str = ""
    queue: tuple[Queued, ...] = ()

    @staticmethod
    def of(
        situation_id: str, policy: str, num_asked: int, backlog: Backlog, scales: Scales, instead: str = ""
    ) -> Situation:
        """As it is now. Loads are sorted, as they will be when they are read again."""
        load_s, warm_up_s = (dict(sorted(told.items())) for told in (backlog.load_s, backlog.warm_up_s))
        told = (backlog.lanes, load_s, warm_up_s, scales)
        return Situation(situation_id, policy, num_asked, *told, FOLD_VERSION, instead, backlog.queue)

    def backlog(self) -> Backlog:
        """A backlog for the policy, its own copy."""
        return Backlog(self.lanes, dict(self.load_s), dict(self.warm_up_s), self.queue)


@dataclass(frozen=True)
class Decision:
    """Why a job went where it went; with its situation and the model at its cursor it can be taken again.

    Attributes:
        cursor: last observation in the cost model that was asked.
        load_s: backlog per worker when the policy was asked, seconds.
        batch: jobs decided together share it.
        decide_s: time that the decision took, an equal part of its batch's, seconds.
        sooner_s: by how much the job was to be served before what its rank says, seconds.
        group: what the cost model pools the program with; empty in a decision of an earlier version.
        situation: None in a decision of an earlier version.
    """

    job_id: str
    policy: str
    at: float
    cursor: int
    batch: str
    load_s: Mapping[str, float]
    request: Request
    choice: Choice
    decide_s: float = 0.0
    id: int = 0
    group: str = ""
    situation: Situation | None = None
    sooner_s: float = 0.0

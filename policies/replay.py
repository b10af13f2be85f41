"""The decision log played back: every policy is asked again what it was asked, and answers are compared bit for bit.

What a policy was asked together is a :class:`Call`. One of which a job is missing cannot be asked again: it was
withdrawn or failed while it was being placed, or it was removed from the store since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from orchestrator.cost_model.model import FOLD_VERSION, CostModel
from orchestrator.decision import Decision, Situation
from orchestrator.defects import DEFECTS, defect
from orchestrator.errors import PlacementError, UnknownPolicy
from orchestrator.hindsight import Devices, anew
from orchestrator.placement import Choice, Policy, Request, Sooner, sooner_s
from orchestrator.telemetry import Observation

MOST_SHOWN = 20
"""Differences that are kept; the others are counted."""


@dataclass(frozen=True)
class Call:
    """All that a policy was asked about together, in order, with what it answered."""

    situation: Situation
    decisions: tuple[Decision, ...]

    @property
    def requests(self) -> list[Request]:
        """As the policy was given them."""
        return [one.request for one in self.decisions]

    def ask(self, policy: Policy) -> list[Choice]:
        """What this policy says to it."""
        return policy.place(self.requests, self.situation.backlog(), self.situation.scales)


@dataclass
class Tally:
    """What of a log is no part of any whole call."""

    num_pinned: int = 0
    num_too_old: int = 0
    num_incomplete: int = 0


def calls(log: Iterable[Decision], tally: Tally, by: str | None = None) -> Iterator[Call]:
    """The log, call by call, each as soon as it is whole.

    Args:
        tally: is told what is left out.   by: only what this policy answered.
    """
    open_calls: dict[str, list[Decision]] = {}
    for decision in log:
        situation = decision.situation
        if situation is None:
            tally.num_too_old += 1
        elif decision.request.spec.pin:
            tally.num_pinned += 1
        elif by is None or situation.policy == by:
            held = open_calls.setdefault(situation.id, [])
            held.append(decision)
            if len(held) == situation.num_asked:
                yield Call(situation, tuple(open_calls.pop(situation.id)))
    tally.num_incomplete += sum(map(len, open_calls.values()))


@dataclass(frozen=True)
class Difference:
    """A decision that was not taken again as it was.

    Attributes:
        logged, again: as a policy would give them, each with its place in the queue.
    """

    job_id: str
    decision: int
    policy: str
    logged: Sooner
    again: Sooner


@dataclass
class Replayed:
    """What became of the log.

    Attributes:
        num_same: decisions that were taken again, all shares alike.
        num_instead: of all, those that another policy took because the job's own could not.
        num_gone: decisions whose policy is not registered any more.
        different: the first of them.
    """

    num_calls: int = 0
    num_decisions: int = 0
    num_same: int = 0
    num_different: int = 0
    num_instead: int = 0
    num_gone: int = 0
    different: list[Difference] = field(default_factory=list)


def replay(log: Iterable[Call], policies: Callable[[str], Policy], name: str | None = None) -> Replayed:
    """Ask again.

    Args:
        policies: gives a live policy for its registered name.
        name: whom to ask; None asks each time whoever answered then.
    """
    found = Replayed()
    for call in log:
        asked = name or call.situation.policy
        found.num_calls += 1
        found.num_decisions += len(call.decisions)
        found.num_instead += len(call.decisions) if call.situation.instead else 0
        try:
            policy = policies(asked)
        except UnknownPolicy:
            found.num_gone += len(call.decisions)
            continue
        for decision, again in zip(call.decisions, _answers(call, policy), strict=True):
            if dict(again) == dict(decision.choice) and sooner_s(again) == decision.sooner_s:
                found.num_same += 1
                continue
            found.num_different += 1
            if len(found.different) < MOST_SHOWN:
                logged = Sooner(decision.choice, decision.sooner_s)
                told = Difference(decision.job_id, decision.id, asked, logged, Sooner(again, sooner_s(again)))
                found.different.append(told)
    return found


def _answers(call: Call, policy: Policy) -> list[Choice]:
    """What it says now; nothing at all if it fails, which is told in the log of this process."""
    try:
        answers = call.ask(policy)
        if len(answers) == len(call.decisions):
            return answers
    except (PlacementError, *DEFECTS) as error:
        defect("place", error, "a policy that is asked again: ")
    return [{}] * len(call.decisions)


# ── estimates ─────────────────────────────────────────────────────────────────────────────────────────────────────────
Observe = Callable[[int, int], Sequence[tuple[int, Observation]]]
"""Observations after a number, at most so many, with their numbers: the log of what was measured."""


@dataclass
class Refolded:
    """What became of the estimates behind decisions.

    Attributes:
        num_same, num_different: estimates, one for each candidate.
        num_unknown: those of backends that nobody serves now, or with another calibration.
        num_pruned: decisions whose model cannot be made again: measurements behind it were removed.
        num_too_old: decisions of another version of the fold, or that kept too little.
    """

    num_decisions: int = 0
    num_same: int = 0
    num_different: int = 0
    num_unknown: int = 0
    num_pruned: int = 0
    num_too_old: int = 0
    different: list[tuple[str, str]] = field(default_factory=list)


class Refold:
    """Makes the cost model of each decision again from the log of measurements, and compares its estimates."""

    def __init__(self, observe: Observe, first: CostModel, devices: Devices) -> None:
        """``first`` is the model from which to fold: an empty one, or a snapshot if the log begins later."""
        self._observe = observe
        self._first = self._model = first
        self._devices = devices
        self.found = Refolded()

    def check(self, decision: Decision) -> None:
        """Estimate anew, and compare bit for bit."""
        situation = decision.situation
        if situation is None or situation.fold_version != FOLD_VERSION:
            self.found.num_too_old += 1
            return
        model = self._at(decision.cursor)
        if model is None:
            self.found.num_pruned += 1
            return
        self.found.num_decisions += 1
        served = {
            one.backend: self._devices[one.backend]
            for one in decision.request.candidates
            if one.backend in self._devices and self._devices[one.backend].target_version == one.target_version
        }
        again = anew(decision, model, served)
        for one in decision.request.candidates:
            if one.backend not in again:
                self.found.num_unknown += 1
            elif again[one.backend] == one.estimate:
                self.found.num_same += 1
            else:
                self.found.num_different += 1
                if len(self.found.different) < MOST_SHOWN:
                    self.found.different.append((decision.job_id, one.backend))

    def _at(self, cursor: int) -> CostModel | None:
        if cursor < self._model.cursor:  # two processes placed at the same time
            self._model = self._first
        while self._model.cursor < cursor:
            fresh = list(self._observe(self._model.cursor, min(1000, cursor - self._model.cursor)))
            if not fresh or fresh[0][0] != self._model.cursor + 1 or fresh[-1][0] > cursor:
                return None
            self._model = self._model.fold(fresh)
        return self._model if self._model.cursor == cursor else None


def watched(log: Iterable[Decision], refold: Refold) -> Iterator[Decision]:
    """The log, with the estimates of each decision checked as it passes."""
    for decision in log:
        refold.check(decision)
        yield decision

"""Asking policies: whose answer it is, what is counted, and what a broken one costs."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.choosing import Chooser
from orchestrator.job import Failure, JobSpec
from orchestrator.placement import Backlog, Choice, Instead, Policy, Request, Scales
from tests.policies.batches import APART, PROGRAM, one


class Halting:
    """Decides on even jobs; on odd ones something stands in for it, and on the seventh it breaks."""

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        if any(request.seq == 7 for request in requests):
            raise ZeroDivisionError("seven")
        choice = {"a": 1.0}
        return [Instead(choice, policy="eft", reason="range") if one.seq % 2 else choice for one in requests]


def asked(*numbers: int, **spec: object) -> tuple[list[tuple[str, str]], list[str], dict[str, Failure]]:
    """(job, who decided), reasons counted, failures."""
    counted: list[str] = []
    failures: dict[str, Failure] = {}

    def policies(name: str) -> Policy:
        return Halting()

    requests = [one(number, spec=JobSpec(program=PROGRAM, policy="halting", **spec), a=1.0) for number in numbers]  # type: ignore[arg-type]
    chosen = list(Chooser(policies, Scales(), counted.append).choose(requests, Backlog(APART), failures))
    assert all(answer.choice == {"a": 1.0} for answer in chosen)
    return [(answer.request.job_id, answer.policy) for answer in chosen], counted, failures


def test_who_decided_is_told_and_each_reason_counted_once_a_batch() -> None:
    assert asked(1, 2, 3) == ([("j1", "eft"), ("j2", "halting"), ("j3", "eft")], ["range"], {})


def test_a_policy_that_fails_at_a_batch_is_asked_for_each_job_alone() -> None:
    chosen, counted, failures = asked(2, 7, 4)
    assert chosen == [("j2", "halting"), ("j4", "halting")]
    assert counted == ["error"]
    assert "policy 'halting': ZeroDivisionError: seven" in failures["j7"].message


def test_a_pin_asks_nobody() -> None:
    assert asked(7, pin={"a": 1.0}) == ([("j7", "halting")], [], {})


def test_policies_are_asked_in_the_order_of_their_names() -> None:
    order: list[str] = []

    def policies(name: str) -> Policy:
        order.append(name)
        return Halting()

    requests = [one(2 * n, spec=JobSpec(program=PROGRAM, policy=name), a=1.0) for n, name in enumerate("cabca")]
    chosen = list(Chooser(policies, Scales(), order.append).choose(requests, Backlog(APART), {}))
    assert order == ["a", "b", "c"]
    assert [answer.policy for answer in chosen] == ["a", "a", "b", "c", "c"]

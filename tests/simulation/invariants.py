"""What must hold after every step, read straight from the tables."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.job import FINAL_JOB_STATES
from orchestrator.lifecycle import Rules
from orchestrator.purchase import OPEN
from tests.far.provider import FINAL as OVER
from tests.far.provider import Provider
from tests.simulation.seams import DIVIDED, NUM_ITEMS, Violation

FINAL = frozenset(state.value for state in FINAL_JOB_STATES)


@dataclass
class Ledger:
    """Checks one database; remembers the ends it has seen, since an end is for ever. ``read`` gives a query's rows."""

    read: Callable[[str], list[dict[str, Any]]]
    rules: Rules

    provider: Provider = field(default_factory=Provider)

    def __post_init__(self) -> None:
        self._ends: dict[str, tuple[str, str | None]] = {}

    def check(self) -> None:
        """Raises: Violation: something that must never be."""
        jobs = {row["id"]: row for row in self.read("SELECT * FROM jobs")}
        parts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.read("SELECT * FROM assignments"):
            parts[row["job_id"]].append(row | {"record": json.loads(row["record"])})
        self._events(jobs)
        self._results(jobs)
        self._telemetry(parts)
        self._families(jobs, parts)
        self._purchases(parts)
        for job_id, job in jobs.items():
            self._end(job)
            self._shots(job, parts[job_id])
            self._tries(job, parts[job_id])

    def _end(self, job: Mapping[str, Any]) -> None:
        known = self._ends.get(job["id"])
        now = (job["state"], job["failure"])
        if known is not None and known != now:
            raise Violation(f"job {job['id']} ended as {known} and is {now} now")
        if job["state"] in FINAL:
            self._ends[job["id"]] = now
            _hold(job["finished_at"] is not None, f"job {job['id']} ended without a time")
            _hold(job["to_place"] == 0, f"job {job['id']} ended with {job['to_place']} shots to place")

    def _events(self, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        kinds: dict[str, list[str]] = defaultdict(list)
        for row in self.read("SELECT job_id, seq, kind FROM events ORDER BY job_id, seq"):
            kinds[row["job_id"]].append(row["kind"])
            number = len(kinds[row["job_id"]])
            _hold(row["seq"] == number, f"event {row['seq']} of job {row['job_id']} stands at place {number}")
        for job_id, job in jobs.items():
            _hold(
                job["num_events"] == len(kinds[job_id]),
                f"job {job_id} counts {job['num_events']} events: {kinds[job_id]}",
            )
            ends = [kind for kind in kinds[job_id] if kind in FINAL]
            wanted = [job["state"]] if job["state"] in FINAL else []
            _hold(ends == wanted, f"job {job_id} is {job['state']} and was told to be {ends}")

    def _results(self, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        with_result = {row["job_id"]: json.loads(row["record"]) for row in self.read("SELECT * FROM results")}
        done = {job_id for job_id, job in jobs.items() if job["state"] == "done"}
        _hold(set(with_result) == done, f"results of {sorted(with_result)}, done are {sorted(done)}")
        for job_id, result in with_result.items():
            got, asked = sum(result["counts"].values()), json.loads(jobs[job_id]["spec"])["shots"]
            _hold(got == asked, f"job {job_id} asked for {asked} shots and has {got}")
            if _is_divided(jobs[job_id]):  # unless nobody could put it together: then each part is there
                found = result["outcome"]
                found = found if isinstance(found, list) else [item for part in found["parts"] for item in part]
                _hold(found == list(range(NUM_ITEMS)), f"job {job_id} has the items {found}")

    def _telemetry(self, parts: Mapping[str, list[dict[str, Any]]]) -> None:
        rows = self.read("SELECT id, assignment_id FROM telemetry ORDER BY id")
        _hold([row["id"] for row in rows] == list(range(1, len(rows) + 1)), "the telemetry has a gap")
        seen = sorted(row["assignment_id"] for row in rows)
        done = sorted(part["id"] for mine in parts.values() for part in mine if part["state"] == "done")
        _hold(seen == done, f"telemetry of {seen}, done are {done}")

    def _families(self, jobs: Mapping[str, Mapping[str, Any]], parts: Mapping[str, list[dict[str, Any]]]) -> None:
        blocked: dict[str, int] = defaultdict(int)
        for row in self.read("SELECT * FROM dependencies"):
            if jobs[row["after_id"]]["state"] != "done":
                blocked[row["job_id"]] += 1
                _hold(not parts[row["job_id"]], f"job {row['job_id']} was placed before {row['after_id']} was done")
        for job_id, job in jobs.items():
            if job["state"] not in FINAL:
                _hold(job["num_blockers"] == blocked[job_id], f"job {job_id} counts {job['num_blockers']} blockers")

    def _purchases(self, parts: Mapping[str, list[dict[str, Any]]]) -> None:
        """Nothing is bought twice, nothing that may exist is forgotten, nobody spends more than is allowed."""
        for wrong in self.provider.wrong():
            raise Violation(wrong)
        rows = self.read("SELECT id, assignment_id, state, usd FROM purchases")
        states = {row["id"]: row["state"] for row in rows}
        open_ones = {row["id"] for row in rows if row["state"] in OPEN}
        held = {name for mine in parts.values() for part in mine if (name := part["record"]["purchase_id"])}
        _hold(held == open_ones, f"shares hold the purchases {sorted(held)}, open are {sorted(open_ones)}")
        for part in (part for mine in parts.values() for part in mine):
            name = part["record"]["purchase_id"]
            _hold(name is None or part["state"] in ("running", "sent"), f"{part['id']} is {part['state']} with {name}")
            _hold(name is not None or part["state"] != "sent", f"{part['id']} was sent without a purchase")
        for order in self.provider.orders.values():
            known = states.get(order.purchase_id, "unknown")
            forgotten = known not in OPEN and order.state not in OVER
            _hold(not forgotten, f"{order.purchase_id} is {known} while {order.id} is {order.state}")
        for budget in self.read("SELECT * FROM budgets"):
            taken = sum(row["usd"] for row in rows)
            _hold(taken <= budget["max_usd"] + 1e-9, f"{taken} of {budget['max_usd']} USD were taken")

    def check_bills(self) -> None:
        """At the end: every order is over and paid for, and nothing else is. Raises: Violation."""
        for wrong in self.provider.wrong(over=True):
            raise Violation(wrong)
        bills: dict[str, float] = defaultdict(float)
        for order in self.provider.orders.values():
            bills[order.purchase_id] += order.bill_usd
        for row in self.read("SELECT id, state, usd FROM purchases"):
            _hold(row["state"] not in OPEN, f"purchase {row['id']} is left {row['state']}")
            bill = bills[row["id"]]
            _hold(abs(row["usd"] - bill) < 1e-9, f"{row['id']} took {row['usd']} USD, its provider charges {bill}")

    def _shots(self, job: Mapping[str, Any], parts: list[dict[str, Any]]) -> None:
        open_parts = [part["id"] for part in parts if part["state"] in ("waiting", "running", "sent")]
        if job["state"] in FINAL:
            _hold(not open_parts, f"job {job['id']} is {job['state']} while {open_parts} go on")
        elif job["failure"] is None and not job["cancel_requested"]:
            kept = [part["record"] for part in parts if part["state"] != "replaced"]
            held = sum(part["shots"] for part in kept)
            asked = json.loads(job["spec"])["shots"]
            if _is_divided(job) and parts:
                items = [item for part in kept for item in range(*part["items"])]
                _hold(len(items) == len(set(items)), f"job {job['id']} has the items {items}")
                held, asked = len(items), NUM_ITEMS
            _hold(held + job["to_place"] == asked, f"job {job['id']}: {held} + {job['to_place']} of {asked} shots")

    def _tries(self, job: Mapping[str, Any], parts: list[dict[str, Any]]) -> None:
        _hold(job["num_placements"] <= self.rules.max_placements, f"job {job['id']} was placed too often")
        pinned = bool(json.loads(job["spec"])["pin"])
        _hold(not pinned or job["num_placements"] <= 1, f"job {job['id']} is pinned and was placed elsewhere")
        for part in parts:
            tries = part["record"]["num_failures"]
            _hold(tries <= self.rules.max_attempts, f"{part['id']} failed {tries} times")
            over = part["state"] == "waiting" and tries >= self.rules.max_attempts
            _hold(not over, f"{part['id']} waits after {tries} failures")
            same = (part["state"], part["attempt"], part["owner"]) == tuple(
                part["record"][name] for name in ("state", "attempt", "owner")
            )
            _hold(same, f"the columns of {part['id']} are not those of its record")


def _is_divided(job: Mapping[str, Any]) -> bool:
    return bool(json.loads(job["spec"])["program"]["text"] == DIVIDED)


def _hold(true: bool, message: str) -> None:
    if not true:
        raise Violation(message)

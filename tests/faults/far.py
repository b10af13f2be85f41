"""Faults on the way to a provider: its answers go wrong, and workers are killed between its words and ours.

The provider outlives the workers and counts what it sold: nothing may be bought twice, nothing lost or left unpaid.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO

import psutil
from sqlalchemy import text

from orchestrator.client import job_spec
from orchestrator.errors import JobNotFound
from orchestrator.job import JobSpec
from orchestrator.lifecycle import Rules
from tests.far import backend as far
from tests.far.server import FAULTS, URL, Shop, serving
from tests.faults.battle import HTTP_SHARE, Audit, Clients, Round, audit
from tests.faults.flaky import STEADY, program
from tests.faults.stack import NotInTime, Stack, until
from tests.simulation.invariants import Ledger

NUM_JOBS = 6
LATER_FAULTS = 8
"""Faults at the provider that are planned for a round, beside those of its kind."""

HELD_S = 30.0
SLEPT_S = 15.0
ENDED_S = 90.0
QUIET: dict[str, float] = {
    "remote_poll_s": 0.3,
    "remote_poll_max_s": 0.6,
    "remote_timeout_s": 2.0,
    "remote_refresh_s": 3.0,
}
"""Settings by which all that waits for time happens within seconds."""


@dataclass(frozen=True)
class FarReport:
    """What happened. ``faults`` by kind, ``asked`` how often the provider was asked for each step."""

    faults: Counter[str]
    asked: Counter[str]
    found: Audit
    wrong: tuple[str, ...]
    num_orders: int
    num_rounds: int
    longest_s: float


class Field:
    """A stack before a provider."""

    def __init__(self, shop: Shop, stack: Stack, clients: Clients, rng: random.Random) -> None:
        self.shop = shop
        self.stack = stack
        self.rng = rng
        self.faults: Counter[str] = Counter()
        self.clients = clients
        self.told: list[Any] = []
        self.longest_s = 0.0

    def round(self, kind: str) -> None:
        """One round: jobs, faults at the provider, and what is done to the workers meanwhile."""
        fight = Round(0, kind, self.stack, self.clients, self.rng)
        self._plan()
        client = self.clients.http if self.rng.random() < HTTP_SHARE else self.clients.direct
        fight.follow(client, client.submit_many([self._spec() for _ in range(NUM_JOBS)]))
        begun = time.monotonic()
        ROUNDS[kind](self, fight)
        fight.settle(ENDED_S)
        self.longest_s = max(self.longest_s, time.monotonic() - begun)
        self.shop.forget()
        self.told += fight.told

    def _plan(self) -> None:
        for _ in range(LATER_FAULTS):
            step = self.rng.choice(sorted(FAULTS))
            kinds = [kind for kind in FAULTS[step] if kind != "accepted_held"]
            self.shop.plan(step, self.rng.choice(kinds))

    def _spec(self) -> JobSpec:
        where: dict[str, Any] = {"pin": {far.NAME: 1.0}}
        if self.rng.random() < 0.25:
            where = {"pin": {far.NAME: 0.5, STEADY: 0.5}}
        return job_spec(program("quick"), shots=self.rng.randint(10, 500), seed=self.rng.randrange(2**31), **where)

    def owners(self) -> list[str]:
        """Workers that are at work on something."""
        with self.stack.store._db.read() as tx:
            rows = tx.execute(text("SELECT DISTINCT owner FROM assignments WHERE state = 'running'")).scalars()
            return sorted({row.partition("@")[0] for row in rows})

    def kill(self, names: list[str], kind: str) -> None:
        """SIGKILL, and a new one in its place."""
        for name in names:
            self.stack.kill(name)
            self.faults[kind] += 1
        for name in names:
            self.stack.start(name)

    def is_sent(self, fight: Round) -> Callable[[], bool]:
        """Whether one of the jobs is with the provider, or all are over."""
        ids = [one.handle.id for one in fight.told]

        def found() -> bool:
            with self.stack.store._db.read() as tx:
                rows = tx.execute(text("SELECT job_id FROM assignments WHERE state = 'sent'")).scalars().all()
            return any(row in ids for row in rows) or all(one.outcome != "nothing" for one in fight.told)

        return found


def quiet(field: Field, fight: Round) -> None:
    """Nothing but the provider's own faults."""


def kill_between(field: Field, fight: Round) -> None:
    """Workers are killed once something was sent, before it is asked about."""
    until(field.is_sent(fight), HELD_S, "something was sent")
    field.kill(field.rng.sample(["left", "right"], field.rng.randint(1, 2)), "worker killed between submit and poll")


def kill_in_submit(field: Field, fight: Round) -> None:
    """The provider has taken an order, and whoever handed it in is killed before it hears of that."""
    field.shop.held.clear()
    field.shop.release.clear()
    field.shop.plan("submit", "accepted_held")
    fight.follow(field.clients.direct, field.clients.direct.submit_many([field._spec()]))
    if field.shop.held.wait(HELD_S):
        field.kill(field.owners(), "worker killed while it hands in")
    field.shop.release.set()


def kill_children(field: Field, fight: Round) -> None:
    """The processes that speak with the provider are killed."""
    until(field.is_sent(fight), HELD_S, "something was sent")
    for name in ("left", "right"):
        for child in field.stack.children(name):
            with suppress(psutil.NoSuchProcess):
                child.kill()
                field.faults["child killed"] += 1


def stop_in_submit(field: Field, fight: Round) -> None:
    """A worker stands still beyond its lease while its child hands in; it hears of it too late."""
    field.shop.held.clear()
    field.shop.release.clear()
    field.shop.plan("submit", "accepted_held")
    fight.follow(field.clients.direct, field.clients.direct.submit_many([field._spec()]))
    if not field.shop.held.wait(HELD_S):
        return
    stopped = field.owners()
    for name in stopped:
        field.stack.signal(name, signal.SIGSTOP)
        field.faults["worker stands still while it hands in"] += 1
    field.shop.release.set()
    try:
        with suppress(NotInTime):  # one may have been stopped with the database's lock in its hand
            until(lambda: not set(stopped) & set(field.owners()), SLEPT_S, "the leases of who stands still end")
    finally:
        for name in stopped:
            field.stack.signal(name, signal.SIGCONT)


def cancel_sent(field: Field, fight: Round) -> None:
    """Jobs are cancelled while they are with the provider."""
    until(field.is_sent(fight), HELD_S, "something was sent")
    for one in field.rng.sample(fight.told, 3):
        with suppress(JobNotFound):
            one.handle.cancel()
            field.faults["cancelled at the provider"] += 1


def lose_messages(field: Field, fight: Round) -> None:
    """Redis is killed with all its messages."""
    until(field.is_sent(fight), HELD_S, "something was sent")
    field.stack.redis.kill(lose_data=True)
    field.stack.redis.start()
    field.faults["redis killed"] += 1


ROUNDS: dict[str, Callable[[Field, Round], None]] = {
    "quiet": quiet,
    "kill_between": kill_between,
    "kill_in_submit": kill_in_submit,
    "kill_children": kill_children,
    "stop_in_submit": stop_in_submit,
    "cancel_sent": cancel_sent,
    "lose_messages": lose_messages,
}


def campaign(
    *, seed: int, num_faults: int, store: str, kinds: Sequence[str] = tuple(ROUNDS), progress: TextIO | None = None
) -> FarReport:
    """Rounds of these kinds in turn, each at least once, until so many faults have happened.

    Raises:
        Broken: a promise was.   NotInTime: something that had to happen did not.
    """
    rng = random.Random(f"far {seed} {store}")
    with _field(store, rng) as field:
        num_rounds = 0
        while _number(field) < num_faults or num_rounds < len(kinds):
            kind = kinds[num_rounds % len(kinds)]
            try:
                field.round(kind)
            except AssertionError as error:
                words = "\n".join(f"── {name}\n{field.stack.last_words(name)}" for name in field.stack.members)
                raise type(error)(f"far, seed {seed}, round {num_rounds}, {kind}: {error}\n{words}") from error
            num_rounds += 1
            if progress is not None:
                progress.write(f"far {_number(field)}/{num_faults} after {num_rounds} rounds: {kind}\n")
                progress.flush()
        return _report(field, num_rounds)


def _number(field: Field) -> int:
    return field.faults.total() + field.shop.injected.total()


def _report(field: Field, num_rounds: int) -> FarReport:
    def read(query: str) -> list[dict[str, Any]]:
        with field.stack.store._db.read() as tx:
            return [dict(row._mapping) for row in tx.execute(text(query))]

    ledger = Ledger(read, Rules(), field.shop.provider)
    found = audit(field.stack, field.told)
    wrong = [*found.wrong, *field.shop.provider.wrong(over=True)]
    try:
        ledger.check_bills()
    except BaseException as violation:  # noqa: BLE001 - it is none of Exception, and is reported
        wrong.append(str(violation))
    faults = field.faults + field.shop.injected
    return FarReport(
        faults, field.shop.asked, found, tuple(wrong), len(field.shop.provider.orders), num_rounds, field.longest_s
    )


@contextmanager
def _field(store: str, rng: random.Random) -> Iterator[Field]:
    far.register()
    with serving() as shop:
        os.environ[URL] = shop.url
        stack = Stack(store, (far.NAME, STEADY), **QUIET)
        try:
            clients = Clients(stack)
            try:
                yield Field(shop, stack, clients, rng)
            finally:
                clients.close()
        finally:
            stack.close()
            del os.environ[URL]


def lines(reports: Mapping[str, FarReport]) -> Iterator[str]:
    """The report for a reader, as Markdown; by store."""
    wrong = [f"{store}: {one}" for store, report in reports.items() for one in report.wrong]
    doubles = sum("was bought" in one or "was made" in one for one in wrong)
    states: Counter[str] = sum((report.found.states for report in reports.values()), Counter())
    faults: Counter[str] = sum((report.faults for report in reports.values()), Counter())
    num_orders = sum(report.num_orders for report in reports.values())
    num_lost = sum(report.found.num_lost for report in reports.values())
    yield (
        f"{faults.total()} faults on the way to a provider, over {states.total()} jobs and {num_orders} orders there: "
        f"{doubles} bought twice, {num_lost} jobs lost. Every order was over and paid for as its provider charges: "
        f"{'no' if wrong else 'yes'}."
    )
    yield ""
    yield f"| fault | {' | '.join(reports)} |"
    yield f"|---|{'---:|' * len(reports)}"
    for kind in sorted(faults):
        yield f"| {kind} | {' | '.join(str(report.faults[kind]) for report in reports.values())} |"
    yield ""
    yield "| jobs that ended as | number |"
    yield "|---|---:|"
    yield from (f"| {state} | {number} |" for state, number in states.most_common())
    yield from (f"- WRONG: {one}" for one in wrong)

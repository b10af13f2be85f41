"""What happened to one job, for a person: every attempt as a bar over time, and every event in a line. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestrator.job import Assignment, Event, Job
from workers.render import program
from workers.render_parts import STATES, duration, fidelity, number, plain, spaced, state

WIDTH = 36
"""Characters from the submission to the end."""

WAITS, RUNS = "░", "█"
LEVELS = {"DEBUG": "dim", "INFO": "default", "WARNING": "yellow", "ERROR": "red", "CRITICAL": "red bold"}


@dataclass
class Attempt:
    """One try at a share: when it began and ended, seconds since the epoch, and who made it."""

    number: int
    worker: str
    began_at: float
    ended_at: float | None = None
    message: str = ""


@dataclass
class Lane:
    """One share of a job on one backend, as its events tell it.

    Attributes:
        amount: how much of the job it is, such as "100 shots".
        ended_at: seconds since the epoch; None while it waits or runs.   state: as an assignment's.
    """

    backend: str
    amount: str
    placed_at: float
    attempts: list[Attempt] = field(default_factory=list)
    ended_at: float | None = None
    state: str = "waiting"


def lanes(events: Sequence[Event]) -> list[Lane]:
    """The shares of a job in the order in which they were placed."""
    found: list[Lane] = []
    for event in events:
        if event.kind == "placed":
            found.extend(Lane(name, amount, event.at) for name, amount in _amounts(event.data).items())
            continue
        lane = _lane(found, event)
        if lane is None:
            continue
        if event.kind == "running":
            lane.attempts.append(Attempt(event.data["attempt"], event.data.get("worker", ""), event.at))
            lane.state = "running"
            continue
        if lane.state == "running":
            lane.attempts[-1].ended_at = event.at
            lane.attempts[-1].message = event.data.get("message", "")
        kind = event.kind.removeprefix("assignment_")
        lane.state = "waiting" if kind == "released" else kind
        lane.ended_at = None if kind == "released" else event.at
    return found


def _lane(found: Sequence[Lane], event: Event) -> Lane | None:
    """The share that an event is about: by its backend, and by how many attempts it has had."""
    if event.kind != "running" and not event.kind.startswith("assignment_"):
        return None
    began = event.kind == "running"
    for lane in found:
        tried = len(lane.attempts) + 1 if began else len(lane.attempts)
        fits = lane.backend == event.data.get("backend") and lane.ended_at is None
        if fits and tried == event.data.get("attempt") and (lane.state == "waiting" or not began):
            return lane
    return None


# ── the picture ───────────────────────────────────────────────────────────────────────────────────────────────────────
def timeline(found: Job, assignments: Sequence[Assignment], events: Sequence[Event], now: float) -> RenderableType:
    """A job, its shares over time, and everything that was said about it.

    Args:
        assignments: for what was expected of them.   now: seconds since the epoch; where an unfinished job has got to.
    """
    parts: list[RenderableType] = [_headline(found, events, now)]
    picture = gantt(found, assignments, events, now)
    if picture is not None:
        parts.append(picture)
    parts.append(Group(*(line(event, found) for event in events)))
    return spaced(*parts)


def _headline(found: Job, events: Sequence[Event], now: float) -> Text:
    spec = found.spec
    by = f"pinned to {', '.join(spec.pin)}" if spec.pin else f"policy {spec.policy}"
    took = "took" if found.finished_at is not None else "for"
    took_s = (found.finished_at or now) - found.submitted_at
    about = f"  {program(found)} · {number(spec.shots)} shots · {by} · {took} {duration(took_s)} · {len(events)} events"
    return Text.assemble((found.id, "bold"), "  ", state(found.state.value), (about, "dim"))


def gantt(found: Job, assignments: Sequence[Assignment], events: Sequence[Event], now: float) -> RenderableType | None:
    """A bar for each share: where it waited and where it ran, on one scale; None before anything was placed."""
    shares = lanes(events)
    if not shares:
        return None
    end = found.finished_at or now
    expected = {(part.backend, part.placed_at): part.estimate.service_s for part in assignments}
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for lane in shares:
        bar = Text.assemble(_bar(lane, found.submitted_at, end), " ", state(lane.state))
        about = [lane.amount, *_tries(lane, end)]
        if (lane.backend, lane.placed_at) in expected:
            about.append(f"expected {duration(expected[lane.backend, lane.placed_at])}")
        made.add_row(Text(lane.backend, "bold"), bar)
        made.add_row("", Text(" · ".join(about), "dim"))
    scale = f"0 s{duration(end - found.submitted_at):>{WIDTH - 3}}  {WAITS} waits  {RUNS} runs"
    made.add_row("", Text(scale, "dim"))
    return made


def _tries(lane: Lane, end: float) -> list[str]:
    """Who ran it and for how long, one attempt after the other."""
    return [
        f"attempt {one.number} by {_short_worker(one.worker)} {duration((one.ended_at or end) - one.began_at)}"
        for one in lane.attempts
    ]


def _bar(lane: Lane, begin: float, end: float) -> Text:
    """The share's life as characters; whatever ran has one at least."""
    scale = WIDTH / max(end - begin, 1e-9)

    def place(at: float) -> int:
        return min(WIDTH - 1, max(0, int((at - begin) * scale)))

    letters, styles = [" "] * WIDTH, [""] * WIDTH
    over = lane.ended_at if lane.ended_at is not None else end
    for at in range(place(lane.placed_at), place(over) + 1):
        letters[at], styles[at] = WAITS, "dim"
    for attempt in lane.attempts:
        ended = attempt.ended_at if attempt.ended_at is not None else end
        style = STATES["running"] if attempt.ended_at is None or not attempt.message else "red"
        for at in range(place(attempt.began_at), place(ended) + 1):
            letters[at], styles[at] = RUNS, STATES["done"] if lane.state == "done" and not attempt.message else style
    return Text.assemble(*zip(letters, styles, strict=True))


MEASURED: dict[str, tuple[str, Callable[[Any], str]]] = {
    "service_s": ("service", duration),
    "expected_s": ("expected", duration),
    "wait_s": ("waited", duration),
    "fidelity": ("fidelity", fidelity),
}
"""What the end of a share may say beside its backend."""


# ── the lines ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def line(event: Event, found: Job) -> RenderableType:
    """One event of a job: when, since the submission, and what."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", width=11, justify="right", no_wrap=True)
    made.add_column(overflow="fold")
    told = SAID.get(event.kind)
    data = {**event.data, "policy": "its pin"} if event.kind == "placed" and found.spec.pin else event.data
    made.add_row(f"{event.at - found.submitted_at:.3f} s", _other(event.kind, data) if told is None else told(data))
    return made


def _other(kind: str, data: Mapping[str, Any]) -> Text:
    details = "  ".join(f"{name} {_short(value)}" for name, value in data.items())
    return Text.assemble((kind.replace("_", " "), STATES.get(kind.rpartition("_")[2], "bold")), ("  " + details, "dim"))


def _short_worker(owner: object) -> str:
    """A worker's name without the mark of its process."""
    return str(owner).partition("/")[0]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


def _log(data: Mapping[str, Any]) -> Text:
    level = str(data.get("level", "INFO")).upper()
    source = " ".join(filter(None, (str(data.get("logger", "")), _short_worker(data.get("worker", "")))))
    return Text.assemble((f"{level.lower()}  ", LEVELS.get(level, "default")), _words(data), (f"  {source}", "dim"))


def _amounts(data: Mapping[str, Any]) -> dict[str, str]:
    """How much went to each backend, in what the job is shared by."""
    unit = data.get("unit", "shots")
    return {name: f"{number(amount)} {unit}" for name, amount in data.get("shares", {}).items()}


def _words(data: Mapping[str, Any]) -> str:
    return str(data.get("message", ""))


def _placed(data: Mapping[str, Any]) -> Text:
    where = " + ".join(f"{name} ({amount})" for name, amount in _amounts(data).items())
    return Text.assemble(
        ("placed", STATES["placed"]), " on ", (where, "bold"), (f"  by {data.get('policy', '?')}", "dim")
    )


def _running(data: Mapping[str, Any]) -> Text:
    worker = _short_worker(data.get("worker", ""))
    return Text.assemble(
        ("begins", STATES["running"]), " on ", (str(data.get("backend")), "bold"),
        (f"  attempt {data.get('attempt')} by {worker}", "dim"),
    )  # fmt: skip


def _ended(verb: str, style: str, why: str) -> Callable[[Mapping[str, Any]], Text]:
    """How an attempt's end is told: in the words of what went wrong, or with what was measured."""

    def tell(data: Mapping[str, Any]) -> Text:
        measured = [f"{said} {show(data[name])}" for name, (said, show) in MEASURED.items() if name in data]
        details = "  ".join(filter(None, (why, *measured)))
        reason = f": {_words(data)}" if _words(data) else ""
        backend = str(data.get("backend"))
        return Text.assemble((verb, style), " ", (backend, "bold"), (f"  {details}", "dim"), reason)

    return tell


def _released(data: Mapping[str, Any]) -> Text:
    verb = "attempt failed on" if _words(data) else "given back by its worker on"
    return _ended(verb, "yellow", "it waits there again")(data)


def _at_provider(verb: str, style: str, *names: str) -> Callable[[Mapping[str, Any]], Text]:
    """How a word of a provider is told, or about one."""

    def tell(data: Mapping[str, Any]) -> Text:
        details = "  ".join(f"{name} {_plainly(data[name])}" for name in names if name in data)
        reason = f": {_words(data)}" if _words(data) else ""
        return Text.assemble((verb, style), " ", (str(data.get("backend")), "bold"), (f"  {details}", "dim"), reason)

    return tell


def _plainly(value: Any) -> str:
    return (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else f"{value:.4g}"
        if isinstance(value, float)
        else str(value)
    )


def _failing(data: Mapping[str, Any]) -> Text:
    return Text.assemble(("failing", "red"), ("  what still runs of it is ended", "dim"), f": {_words(data)}")


def _failed(data: Mapping[str, Any]) -> Text:
    return Text.assemble(("failed", "red bold"), f" at {data.get('stage', '?')}: {_words(data)}")


SAID: dict[str, Callable[[Mapping[str, Any]], Text]] = {
    "log": _log,
    "placed": _placed,
    "running": _running,
    "assignment_done": _ended("done on", "green", ""),
    "assignment_released": _released,
    "assignment_replaced": _ended("moved away from", "yellow", "its shots are placed elsewhere"),
    "reconsidered": _ended("taken back from", "yellow", "another place is better now"),
    "assignment_failed": _ended("failed on", "red", ""),
    "assignment_cancelled": _ended("withdrawn from", "yellow", ""),
    "reserved": _at_provider("price set aside for", "default", "usd", "qpu_s", "purchase"),
    "sent": _at_provider("handed in at", STATES["sent"], "remote_ids"),
    "remote_queued": _at_provider("queued at", STATES["sent"], "position"),
    "remote_running": _at_provider("running at", STATES["sent"]),
    "remote_silent": _at_provider("no answer from", "yellow"),
    "outcome_unknown": _at_provider("it is not known whether it was handed in at", "yellow"),
    "recalled": _at_provider("to be withdrawn at", "yellow"),
    "failing": _failing,
    "failed": _failed,
}
"""Kinds of events that have a sentence of their own; the others show their data as they are."""

"""The routes. Each reads records, asks a transport, writes records; all that blocks runs on the server's threads."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from orchestrator import checks
from orchestrator.cost_model.model import Learned
from orchestrator.decision import Decision
from orchestrator.door import MAX_NAME, check_switch
from orchestrator.errors import ProtocolMismatch
from orchestrator.hindsight import Explanation
from orchestrator.job import Assignment, Event, Job, JobSpec, JobState, Result
from orchestrator.purchase import Balance, Budget
from orchestrator.quote import Quote
from orchestrator.records import to_json
from orchestrator.store import Announcement, Switch
from orchestrator.transport import PolicyInfo, StoreTransport
from orchestrator.web.body import Body, JobId, possible_ids, records
from orchestrator.web.gate import Caller
from orchestrator.web.openapi import SWITCHED, by_id, gives, list_of, ref, takes
from orchestrator.web.streams import all_jobs, one_job
from orchestrator.wire import MAX_IDS, MAX_LISTED, PREFIX, PROTOCOL, PROTOCOL_HEADER, About

MAX_SEQ = 2**31 - 1
_IDS = {"type": "array", "items": {"type": "string"}, "maxItems": MAX_IDS}
_BODY = (408, 413, 415)

_bearer = HTTPBearer(auto_error=False, description="A token that `qorch token add` made.")

api = APIRouter(prefix=PREFIX, default_response_class=Response)
server = APIRouter(default_response_class=Response)


def admitted(request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Caller:
    """Who asks. Raises: Refusal: whoever it is may not."""
    protocol = request.headers.get(PROTOCOL_HEADER, PROTOCOL)
    if protocol != PROTOCOL:
        raise ProtocolMismatch(f"this server speaks version {PROTOCOL}, the client {checks.short(protocol)}")
    caller: Caller = request.app.state.gate.admit(sent.credentials if sent else None, request.headers)
    return caller


Admitted = Annotated[Caller, Depends(admitted)]


async def seen_by(request: Request, caller: Admitted) -> StoreTransport:
    """The orchestrator as the caller may see it."""
    transport: StoreTransport = request.app.state.transport
    return transport if caller.project is None else transport.scoped(caller.project)


View = Annotated[StoreTransport, Depends(seen_by)]
LastEventId = Annotated[str | None, Header(max_length=200)]
After = Annotated[int, Query(ge=0, le=MAX_SEQ, description="Number of the last event that is known.")]


def answer(record: Any, status: int = 200) -> Response:
    """A record as JSON; None is an answer without content."""
    return Response(status_code=204) if record is None else Response(to_json(record), status, None, "application/json")


# ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
@api.post(
    "/jobs",
    operation_id="submit",
    tags=["jobs"],
    status_code=201,
    responses=gives(list_of(Job), *_BODY, status=201),
    openapi_extra=takes({"type": "array", "items": ref(JobSpec), "minItems": 1}),
)
def submit(view: View, body: Body) -> Response:
    """Submit a batch of jobs: all of it or nothing.

    Programs are not read here: one that cannot be read becomes a job that fails at "prepare".
    """
    return answer(view.submit(records(list[JobSpec], body)), 201)


@api.post(
    "/quote",
    operation_id="quote",
    tags=["jobs"],
    responses=gives(ref(Quote), *_BODY),
    openapi_extra=takes(ref(JobSpec)),
)
def quote(view: View, body: Body) -> Response:
    """What a job would meet on each backend, and where it would go. Nothing is submitted."""
    return answer(view.quote(records(JobSpec, body)))


@api.get("/jobs", operation_id="jobs", tags=["jobs"], responses=gives(list_of(Job)))
def jobs(
    view: View,
    state: Annotated[JobState | None, Query()] = None,
    tag: Annotated[str | None, Query(min_length=1, max_length=MAX_NAME)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 50,
) -> Response:
    """List jobs, the newest first."""
    if tag is not None and not tag.isprintable():
        return answer([])  # no job has such a tag
    return answer(view.jobs(state=state, tag=tag, limit=limit))


@api.get("/jobs/{job_id}", operation_id="job", tags=["jobs"], responses=gives(ref(Job), 404))
def job(view: View, job_id: JobId) -> Response:
    """One job as it stands now."""
    return answer(view.job(job_id))


@api.get(
    "/jobs/{job_id}/assignments", operation_id="assignments", tags=["jobs"], responses=gives(list_of(Assignment), 404)
)
def assignments(view: View, job_id: JobId) -> Response:
    """Where a job went, share by share; empty before it was placed."""
    view.job(job_id)
    return answer(view.assignments(job_id))


@api.get(
    "/jobs/{job_id}/result",
    operation_id="result",
    tags=["jobs"],
    responses=gives(ref(Result), 404, empty="the job has no result, or none yet; its state says which"),
)
def result(view: View, job_id: JobId) -> Response:
    """What a job gave: counts, placement, estimate and measurement."""
    found = view.result(job_id)
    if found is None:
        view.job(job_id)
    return answer(found)


@api.get(
    "/jobs/{job_id}/decision",
    operation_id="decision",
    tags=["jobs"],
    responses=gives(ref(Decision), 404, empty="it was not placed yet"),
)
def decision(view: View, job_id: JobId) -> Response:
    """Why a job went where it went: every candidate, estimate and reason."""
    found = view.decision(job_id)
    if found is None:
        view.job(job_id)
    return answer(found)


@api.get(
    "/jobs/{job_id}/explanations",
    operation_id="explain",
    tags=["jobs"],
    responses=gives(list_of(Explanation), 404),
)
def explain(view: View, job_id: JobId) -> Response:
    """All that was decided about a job, what was measured, and what each choice cost in hindsight."""
    view.job(job_id)
    return answer(view.explain(job_id))


@api.post(
    "/jobs/{job_id}/cancel",
    operation_id="cancel",
    tags=["jobs"],
    status_code=204,
    responses=gives(None, 404, status=204),
)
def cancel(view: View, job_id: JobId) -> Response:
    """Withdraw a job: what waits never starts, what runs is ended. One that has ended stays as it is."""
    view.cancel(job_id)
    return answer(None)


@api.post(
    "/results",
    operation_id="results",
    tags=["jobs"],
    responses=gives(by_id(Result), *_BODY),
    openapi_extra=takes(_IDS),
)
def results(view: View, body: Body) -> Response:
    """Results of those of these jobs that are done, by id; the others are left out."""
    return answer(view.results(possible_ids(body)))


@api.post(
    "/states",
    operation_id="states",
    tags=["jobs"],
    responses=gives(by_id(JobState), *_BODY),
    openapi_extra=takes(_IDS),
)
def states(view: View, body: Body) -> Response:
    """Where these jobs are, by id; one that is not there is left out."""
    return answer(view.states(possible_ids(body)))


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@api.get("/jobs/{job_id}/events", operation_id="events", tags=["events"], responses=gives(list_of(Event), 404))
def events(view: View, job_id: JobId, after: After = 0) -> Response:
    """What has happened to a job since event number ``after``."""
    return answer(view.events(job_id, after=after))


@api.get(
    "/jobs/{job_id}/stream",
    operation_id="streamJob",
    tags=["events"],
    responses=gives({"type": "string"}, 404, stream=True),
)
async def stream_job(
    request: Request, view: View, job_id: JobId, after: After = 0, last_event_id: LastEventId = None
) -> Response:
    """What happens to a job, from event number ``after`` or the header Last-Event-ID on, until its end."""
    request.app.state.streams.check_room()
    await run_in_threadpool(view.job, job_id)
    _, _, number = (last_event_id or "").rpartition(":")
    seen = min(int(number), MAX_SEQ) if number.isascii() and number.isdigit() and len(number) < 20 else after
    return _stream(one_job(request.app.state.streams, view, job_id, seen, _still_admitted(request)))


@api.get("/stream", operation_id="stream", tags=["events"], responses=gives({"type": "string"}, stream=True))
async def stream(request: Request, caller: Admitted, last_event_id: LastEventId = None) -> Response:
    """Events of all jobs that the caller may see, from now on.

    An event named "again" says that some were missed: look at what matters. Whoever comes back with a Last-Event-ID
    gets it first. Lines that begin with a colon only show that the server is alive.
    """
    request.app.state.streams.check_room()
    returns = last_event_id is not None
    return _stream(all_jobs(request.app.state.streams, caller.project, returns, _still_admitted(request)))


def _still_admitted(request: Request) -> Callable[[], None]:
    """Asks the gate again, for streams that outlive a revoked token."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")

    def check() -> None:
        request.app.state.gate.admit(secret if scheme.lower() == "bearer" else None, request.headers)

    return check


def _stream(chunks: AsyncIterator[bytes]) -> Response:
    headers = {"X-Accel-Buffering": "no"}  # a proxy that waits for a full buffer would keep the events
    return StreamingResponse(chunks, headers=headers, media_type="text/event-stream")


# ── fleet ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
@api.get("/backends", operation_id="backends", tags=["fleet"], responses=gives(list_of(Announcement)))
def backends(view: View) -> Response:
    """What workers announce at this moment."""
    return answer(view.backends())


@api.get("/policies", operation_id="policies", tags=["fleet"], responses=gives(list_of(PolicyInfo)))
def policies(view: View) -> Response:
    """What a job's ``policy`` may be."""
    return answer(view.policies())


@api.get("/costs", operation_id="costs", tags=["fleet"], responses=gives(list_of(Learned)))
def costs(view: View) -> Response:
    """What the cost model has learned per family and backend."""
    return answer(view.costs())


@api.get("/switches", operation_id="switches", tags=["fleet"], responses=gives(list_of(Switch)))
def switches(view: View) -> Response:
    """Backends and workers that an operator has taken out of service."""
    return answer(view.switches())


@api.post(
    "/switches",
    operation_id="switch",
    tags=["fleet"],
    status_code=204,
    responses=gives(None, *_BODY, status=204),
    openapi_extra=takes(ref(Switch)),
)
def switch(view: View, caller: Admitted, body: Body) -> Response:
    """Take a backend or worker out of service, or put it back. Only for operators."""
    caller.check_operator()
    asked = records(Switch, body)
    if not re.fullmatch(SWITCHED, asked.name):
        checks.refuse("a switch's name", "the name of a backend or worker", asked.name)
    check_switch(asked, view.backends(), view.switches())
    view.switch(asked)
    return answer(None)


@api.get("/budgets", operation_id="budgets", tags=["fleet"], responses=gives(list_of(Balance)))
def budgets(view: View) -> Response:
    """The budgets that bind the caller, what is set aside for what is under way, and what was spent."""
    return answer(view.budgets())


@api.post(
    "/budgets",
    operation_id="setBudget",
    tags=["fleet"],
    status_code=204,
    responses=gives(None, *_BODY, status=204),
    openapi_extra=takes(ref(Budget)),
)
def set_budget(view: View, caller: Admitted, body: Body) -> Response:
    """Say what a project may spend on real devices; without any limit its budget goes. Only for operators."""
    caller.check_operator()
    asked = records(Budget, body)
    view.set_budget(asked)
    return answer(None)


# ── server ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@api.get("", operation_id="about", tags=["server"], responses=gives(ref(About)))
async def about(caller: Admitted) -> Response:
    """What answers here, and whose jobs the caller sees."""
    return answer(About("qorch", version("qorch"), PROTOCOL, caller.project))


@server.get(
    "/healthz",
    operation_id="health",
    tags=["server"],
    responses={200: {"description": "the store answers"}, 503: gives(None)[503], 500: gives(None)[500]},
)
def health(request: Request) -> Response:
    """Whether the server and its store are there. Needs no token."""
    request.app.state.transport.switches()  # a small table: it is read only to see that it can be
    return Response(b'{"ok":true}', media_type="application/json")

"""From an error to an answer: one shape for all, and a status for each class."""

from __future__ import annotations

import logging
import uuid
from dataclasses import asdict

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from backends.errors import BackendError
from circuits.errors import CircuitError
from orchestrator import errors
from orchestrator.defects import DEFECTS
from orchestrator.records import to_json
from orchestrator.wire import ErrorBody, ErrorDetail, to_wire

log = logging.getLogger("qorch.web")

RETRY_AFTER_S = 1
"""What a client is told to wait where the server is only away for a moment."""

STATUS: tuple[tuple[type[Exception], int], ...] = (
    (errors.JobNotFound, 404),
    (errors.JobError, 409),
    (errors.InvalidTransition, 409),
    (errors.NotAuthorised, 401),
    (errors.ProtocolMismatch, 400),
    (errors.InvalidJob, 422),
    (errors.PlacementError, 422),
    (errors.UnknownWorker, 422),
    (CircuitError, 422),
    (BackendError, 422),
    (errors.TransportError, 503),
    (errors.ConfigurationError, 500),
)
"""The first class that fits says the status; what fits none was not foreseen."""

MEANING = {
    400: "a client of another version",
    401: "a token is wanted, or another one",
    403: "this token is not for that, or a web page of another origin asks",
    404: "no such job, or none that this token may see",
    408: "the body did not come in time",
    409: "the job has no such thing",
    413: "the body is too large",
    415: "the body is not JSON",
    422: "not what the schema says, or what no job can be",
    500: "a defect of the server; its log has the trace",
    503: "the store is away for a moment, or too many streams are open",
}


class Refusal(Exception):
    """An error with a status of its own, where the class of the error does not say enough."""

    def __init__(self, status: int, error: Exception, *, hang_up: bool = False) -> None:
        """``hang_up`` ends the connection: what the client still sends is not even thrown away."""
        super().__init__(str(error))
        self.hang_up = hang_up
        self.status = status
        self.error = error


def answer(status: int, body: ErrorBody) -> Response:
    """An error as a response."""
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    said = {name: value for name, value in asdict(body.error).items() if value is not None}
    return Response(to_json({"error": said}), status, headers, "application/json")


def install(app: FastAPI) -> None:
    """Let every error of the app end as an answer of the one shape."""
    for kind in (*DEFECTS, OSError, Exception):
        app.add_exception_handler(kind, _defect)
    for kind in (errors.OrchestratorError, CircuitError, BackendError):  # two of them are defects where jobs are run
        app.add_exception_handler(kind, _expected)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _no_route)


def _expected(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    if isinstance(error, errors.StoreUnavailable):
        log.warning("%s", error)  # where the store is and what it says of itself is no business of the caller
        error = errors.StoreUnavailable("the server's store does not answer at the moment; try again")
    if status == 500:
        return _defect(request, error)
    return answer(status, to_wire(error))


def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    found = answer(error.status, to_wire(error.error))
    if error.hang_up:
        found.headers["Connection"] = "close"
    return found


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    words = "; ".join(f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in error.errors())
    return answer(422, to_wire(errors.InvalidJob(words)))


def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path[:80]!r}"
    body = ErrorBody(ErrorDetail("NoSuchRoute", f"{error.detail}: {where}; /openapi.json says what there is"))
    found = answer(error.status_code, body)
    if error.status_code == 405:  # the router names the methods of one route; a path may have several
        routes = [route for route in request.app.state.routes if route.matches(request.scope)[0] is not Match.NONE]
        found.headers["Allow"] = ", ".join(sorted({method for route in routes for method in route.methods}))
    return found


def _defect(request: Request, error: Exception) -> Response:
    number = uuid.uuid4().hex[:8]
    log.error("defect %s at %s %s", number, request.method, request.scope.get("path", ""), exc_info=error)
    message = f"the server met a defect of its own; its log has the trace under {number}"
    return answer(500, ErrorBody(ErrorDetail("Defect", message)))

"""What comes in: bodies, bounded before they are read, and records out of them."""

from __future__ import annotations

import asyncio
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from orchestrator.checks import short
from orchestrator.door import MAX_ID
from orchestrator.errors import InvalidJob, JobNotFound
from orchestrator.records import from_json
from orchestrator.web.refusal import Refusal
from orchestrator.wire import MAX_IDS

BODY_TIMEOUT_S = 60.0
"""A body must be here in so long: who sends a byte a minute holds a connection for nothing."""

DRAINED = 4
"""A body up to so many times too large is thrown away piece by piece, so that its sender reads the answer: who still
sends when the connection ends may never see it."""

T = TypeVar("T")


async def whole_body(request: Request) -> bytes:
    """The body, read no further than it may go.

    Raises:
        Refusal: 415 not said to be JSON, 413 too large, 408 too slow.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, InvalidJob(f"a body must have the Content-Type application/json; got {short(kind)}"))
    most: int = request.app.state.settings.max_body_bytes
    told = request.headers.get("content-length", "")
    if told.isdigit() and int(told) > most:
        raise _too_large(most, hang_up=int(told) > DRAINED * most)
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _too_large(most, hang_up=True)
                parts.append(part)
    except TimeoutError as error:
        late = InvalidJob(f"the body was not here within {BODY_TIMEOUT_S:g} s")
        raise Refusal(408, late, hang_up=True) from error
    except ClientDisconnect as error:
        raise Refusal(408, InvalidJob("the client left before its request was complete")) from error
    return b"".join(parts)


Body = Annotated[bytes, Depends(whole_body)]


def records(kind: type[T], body: bytes) -> T:
    """Read a record from a body.

    Raises:
        InvalidJob: not JSON, or not of that shape.   CircuitError: a program that none can be.
    """
    try:
        return from_json(kind, body)
    except (ValueError, RecursionError) as error:
        raise InvalidJob(f"the body is not what /openapi.json says: {error}") from error


async def possible_id(job_id: str) -> str:
    """An id, if it can be one.

    Raises:
        JobNotFound: it cannot.
    """
    if not _can_be(job_id):
        raise JobNotFound(job_id[:MAX_ID].encode("ascii", "replace").decode())
    return job_id


JobId = Annotated[str, Depends(possible_id)]


def possible_ids(body: bytes) -> list[str]:
    """The ids that a question in bulk is about; those that none can have are left out.

    Raises:
        InvalidJob: too many, or no list of texts.
    """
    asked = records(list[str], body)
    if len(asked) > MAX_IDS:
        raise InvalidJob(f"a question may be about {MAX_IDS} jobs; got {len(asked)}: ask in parts")
    return [text for text in dict.fromkeys(asked) if _can_be(text)]


def _can_be(text: str) -> bool:
    return 0 < len(text) <= MAX_ID and text.isprintable()


def _too_large(most: int, *, hang_up: bool) -> Refusal:
    words = f"a request may have {most} bytes: submit in parts, or raise the server's QORCH_MAX_BODY_BYTES"
    return Refusal(413, InvalidJob(words), hang_up=hang_up)

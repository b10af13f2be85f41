"""How the lines of a long-running process look: for a person, or one JSON object each (``QORCH_LOG_FORMAT=json``).

Every module logs with :mod:`logging`; structlog formats what comes out, of libraries too. Each line has its time,
level, logger and message, the worker, and the jobs that it is about where there are any. Passwords and tokens are
masked.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from orchestrator import logs


def configure(form: str, *, worker: str = "", level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send what is logged in this process to a stream; what was set up before ends.

    Args:
        form: "human" or "json".
        worker: whose process this is; "" leaves it out.
        level: of our own loggers; of all others what is a warning or worse is shown.
        stream: stderr by default: stdout is for answers.
    """
    shown = stream or sys.stderr

    def who(_: Any, __: str, line: EventDict) -> EventDict:
        if worker:
            line["worker"] = worker
        about = [job_id for job_id in logs.jobs() if job_id]
        if about:
            line["job_id"] = about[0] if len(about) == 1 else about
        return line

    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        who,
        structlog.processors.format_exc_info,
        _mask,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(form, shown)],
    )
    handler = logging.StreamHandler(shown)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("qorch").setLevel(level)


def _renderers(form: str, stream: TextIO) -> list[Processor]:
    if form == "json":
        return [structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer()]
    plain = structlog.dev.plain_traceback  # the others show the values of variables, and some of those are secrets
    return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]


def _mask(_: Any, __: str, line: EventDict) -> EventDict:
    return {key: logs.masked(value) if isinstance(value, str) else value for key, value in line.items()}

"""Errors that nobody foresaw: of a family, a backend or a policy. One costs its job and not the worker."""

from __future__ import annotations

import logging

from backends.errors import BackendError
from circuits.errors import CircuitError
from orchestrator.job import Failure

log = logging.getLogger("qorch.defects")

DEFECTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BackendError,
    CircuitError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a defect of a family, a backend or a policy raises. It costs one job; the store's own errors pass through."""


def defect(stage: str, error: Exception, where: str = "") -> Failure:
    """What is said of an error that nobody foresaw: the job ends, the worker goes on."""
    log.error("a job fails at %s", stage, exc_info=error)
    kind = type(error).__name__
    return Failure(stage, kind, f"{where}{kind}: {str(error)[:1000]}; the worker's log has its trace")

"""qorch: submit quantum circuits, let a policy decide where they run, learn from what was measured."""

from backends.backend import TranspileOptions
from orchestrator.client import Client, JobHandle
from orchestrator.job import JobSpec, Limits, Objective, Result

__all__ = ["Client", "JobHandle", "JobSpec", "Limits", "Objective", "Result", "TranspileOptions"]

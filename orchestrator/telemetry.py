"""The append-only log of what was measured. The cost model is a fold over it, so every entry stands on its own."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.job import Estimate, Measurement


@dataclass(frozen=True)
class Observation:
    """One finished assignment: what was predicted, what was measured.

    Attributes:
        group: what the cost model pools it with.
        program_hash: content of the program; identical jobs share it.
        prior: calibration and features alone; its fidelity is that of what a provider says it really ran.
        estimate: what the model said when it was placed.
        num_qubits, num_gates: of the circuit as logical program.
        at: when it ended, seconds since the epoch.
    """

    assignment_id: str
    job_id: str
    backend: str
    target_version: str
    group: str
    program_hash: str
    num_qubits: int
    num_gates: int
    shots: int
    prior: Estimate
    estimate: Estimate
    predicted_wait_s: float
    measurement: Measurement
    at: float

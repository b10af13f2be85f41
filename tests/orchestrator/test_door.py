"""The door: what it lets in can be written down and read back, whatever was asked for."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from backends.errors import BackendError
from circuits.errors import CircuitError
from circuits.program import Program
from orchestrator import Limits, Objective, TranspileOptions
from orchestrator.client import job_spec
from orchestrator.door import check_batch
from orchestrator.errors import OrchestratorError
from orchestrator.job import JobSpec
from orchestrator.records import from_json, to_json
from orchestrator.settings import Settings
from policies import POLICIES

OURS_ERRORS = (OrchestratorError, CircuitError, BackendError)

numbers = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=5), st.lists(st.integers()))
names = st.one_of(st.sampled_from([*POLICIES, "aer_mps", "aer_statevector"]), st.text(max_size=8), numbers)


def makes(kind: Any, *fields: str) -> st.SearchStrategy[Any]:
    """How to make a record from whatever; it may refuse when it is made."""
    return st.dictionaries(st.sampled_from(fields), numbers).map(lambda given: lambda: kind(**given))


wild = st.fixed_dictionaries(
    {},
    optional={
        "shots": numbers,
        "policy": names,
        "objective": makes(Objective, "latency", "energy", "fidelity", "price"),
        "limits": makes(Limits, "min_fidelity", "deadline_s", "max_cost_usd", "timeout_s"),
        "transpile": makes(TranspileOptions, "optimization_level", "seed", "initial_layout"),
        "pin": st.one_of(names, st.dictionaries(st.sampled_from(["aer_mps", "aer_statevector", "x"]), numbers)),
        "allow": st.one_of(names, st.lists(names, max_size=3)),
        "exclude": st.one_of(names, st.lists(names, max_size=3)),
        "priority": numbers,
        "seed": numbers,
        "memory": numbers,
        "tags": st.one_of(names, st.lists(names, max_size=3)),
        "idempotency_key": names,
    },
)


@tries(max_examples=1_500, deadline=None)
@given(wild)
def test_what_passes_the_door_can_be_read_back(options: dict[str, Any]) -> None:
    settings = Settings()
    try:
        made = {name: value() if callable(value) else value for name, value in options.items()}
        spec = job_spec(Program("family", family="steane"), **made)
        check_batch([spec], settings, list(POLICIES))
    except OURS_ERRORS:
        return
    again = from_json(JobSpec, to_json(spec))
    assert to_json(from_json(JobSpec, to_json(again))) == to_json(again)
    assert (again.limits, again.objective, dict(again.pin)) == (spec.limits, spec.objective, dict(spec.pin))

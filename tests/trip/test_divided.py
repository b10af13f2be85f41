"""One batch divided between the classical algorithm and a simulator: parts run apart, and the whole is as undivided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from circuits.autoencoder import AutoencoderBatch
from circuits.raytracing import RayTracing
from orchestrator import Client, Objective
from orchestrator.errors import JobFailed
from orchestrator.job import AssignmentState
from orchestrator.placement import Backlog, Choice, Request, Scales
from orchestrator.settings import Settings
from policies import POLICIES

TIMEOUT_S = 120.0
HALVES = {"cpu": 0.5, "sparse": 0.5}
FRAME = RayTracing(width=8, height=6, grid_bits=4, num_primitives=8)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder: Path = tmp_path_factory.mktemp("divided")
    with Client(settings=Settings(data_dir=folder, backends=("cpu", "sparse", "aer_statevector"), slots=2)) as client:
        yield client


def test_a_frame_from_its_parts_is_the_frame(fleet: Client) -> None:
    whole = fleet.submit(FRAME, shots=1, pin="sparse").result(TIMEOUT_S)
    job = fleet.submit(FRAME, shots=1, pin=HALVES)
    found = job.result(TIMEOUT_S)
    assert {share.backend: share.items for share in found.placement.shares} == {"cpu": (0, 3), "sparse": (3, 6)}
    for name in ("depth", "hits", "num_wrong_pixels"):
        assert found.outcome["value"][name] == whole.outcome["value"][name]
    assert (found.outcome["score"], found.measurement.fidelity) == (1.0, 1.0)
    assert found.measurement.method == "classical+sparse"
    told = [event.data for event in job.events(TIMEOUT_S) if event.kind == "progress"]
    assert {(each["backend"], tuple(each["items"])) for each in told} == {("sparse", (3, 6))}
    assert all(each["partial"]["num_pixels_left"] <= 8 * 3 for each in told)
    assert [e.data["shares"] for e in job.events(TIMEOUT_S) if e.kind == "placed"] == [{"cpu": 3, "sparse": 3}]


def test_samples_keep_their_order(fleet: Client) -> None:
    batch = AutoencoderBatch(num_samples=6, num_qubits=6)
    found = fleet.submit(batch, shots=400, pin={"aer_statevector": 0.5, "cpu": 0.5}).result(TIMEOUT_S)
    exact, measured = batch.solve().value["fidelities"], found.outcome["value"]["fidelities"]
    assert measured[3:] == exact[3:], "those of the classical algorithm are exact"
    assert measured[:3] == pytest.approx(exact[:3], abs=0.05)
    assert found.measurement.fidelity == pytest.approx(1.0, abs=0.05)


def test_a_policy_chooses_how_much_goes_where(fleet: Client) -> None:
    both = {"shots": 16, "allow": ["cpu", "aer_statevector"], "max_parts": 2, "policy": "split"}
    only_time = Objective(latency=1.0, fidelity=0.0, price=0.0)
    job = fleet.submit(FRAME, objective=only_time, **both)
    shares = job.result(TIMEOUT_S).placement.shares
    assert sorted(item for share in shares for item in range(*(share.items or ()))) == list(range(6))
    decision = fleet.why(job.id)
    assert decision is not None
    assert (decision.request.items, decision.request.amount) == (((0, 6),), 6)
    assert all(one.one_shot is not None for one in decision.request.feasible)


def test_what_cannot_be_divided_so_far_says_so(fleet: Client) -> None:
    with pytest.raises(JobFailed, match="work for 1 at most"):
        fleet.submit(RayTracing(), shots=16, pin=HALVES).result(TIMEOUT_S)


class Even:
    """The same to each backend that a job may go to."""

    def place(self, requests: Sequence[Request], backlog: Backlog, scales: Scales) -> list[Choice]:
        return [{one.backend: 1.0 / len(request.feasible) for one in request.feasible} for request in requests]


def test_the_items_of_a_lost_backend_go_elsewhere(
    tmp_path: Path, slow_qasm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POLICIES, "even", f"{__name__}:Even")
    with Client(settings=Settings(data_dir=tmp_path, backends=("cpu", "sparse", "aer_mps"), slots=1)) as client:
        busy = client.submit(slow_qasm, shots=1_000_000, pin="aer_mps")
        assert any(event.kind == "running" for event in busy.events(TIMEOUT_S))
        job = client.submit(FRAME, shots=1, policy="even", allow=["cpu", "sparse"], max_parts=2)
        assert any(event.kind == "placed" for event in job.events(TIMEOUT_S))
        client.switch("cpu", "disabled")
        assert any(event.kind == "assignment_replaced" for event in job.events(TIMEOUT_S))
        busy.cancel()
        found = job.result(TIMEOUT_S)
        parts = job.assignments()
    assert [(part.backend, part.items, part.state) for part in parts] == [
        ("cpu", (0, 3), AssignmentState.REPLACED),
        ("sparse", (3, 6), AssignmentState.REPLACED),  # what waits is decided anew together
        ("sparse", (0, 6), AssignmentState.DONE),
    ]
    assert found.outcome["value"]["depth"] == FRAME.solve().value["depth"]

"""A recording: every pair is run for real, once, whatever interrupts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from circuits.facts import Judgement
from circuits.program import Program
from orchestrator.errors import ConfigurationError, PlacementError
from orchestrator.job import Failure, JobSpec
from orchestrator.settings import Settings
from tests.policies.worlds import device, run
from tests.workers.compare.conftest import EXECUTED, Hands
from workers.compare import recording as module
from workers.compare.recording import REPEATS, Recorded, Recording, noise, recorded, work_key

SPEC = JobSpec(Program("openqasm2", text="one"), shots=100)
OTHER = replace(SPEC, program=Program("openqasm2", text="two"))
DEVICES = {name: device(name) for name in ("a", "b")}
SETTINGS = Settings()


def test_what_is_recorded_is_not_run_again(tmp_path: Path, hands: Hands) -> None:
    path = tmp_path / "deep" / "recording.jsonl"
    specs = [SPEC, replace(SPEC, seed=99, priority=9), OTHER]
    first = recorded(specs, DEVICES, Recording(path), hands, SETTINGS)
    assert set(first) == {work_key(SPEC), work_key(OTHER)}, "who asks, and how urgently, is no part of it"
    assert len(hands.asked) == 2 * 2 * REPEATS
    assert len({(work.program.text, work.backend, work.seed) for work in hands.asked}) == len(hands.asked)
    assert all(len(runs) == REPEATS - 1 for runs in first[work_key(SPEC)].runs.values()), "the first run transpiles"
    again = recorded(specs, DEVICES, Recording(path), Hands(unfit=("a", "b")), SETTINGS)
    assert again == first


def test_an_interrupted_recording_goes_on(tmp_path: Path, hands: Hands) -> None:
    path = tmp_path / "recording.jsonl"
    recorded([SPEC], {"a": DEVICES["a"]}, Recording(path), hands, SETTINGS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    recorded([SPEC], {"a": DEVICES["a"]}, Recording(path), hands, SETTINGS)
    assert len(hands.asked) == REPEATS + 1, "the line that was cut off alone"
    assert len(path.read_bytes().splitlines()) == len(whole.splitlines())


def test_other_shots_are_another_run_and_who_excludes_a_backend_needs_none(tmp_path: Path, hands: Hands) -> None:
    specs = [replace(SPEC, allow=("a",)), replace(SPEC, shots=200, exclude=("a",))]
    found = recorded(specs, DEVICES, Recording(tmp_path / "r"), hands, SETTINGS)
    assert {(work.backend, work.shots) for work in hands.asked} == {("a", 100), ("b", 200)}
    assert set(found[work_key(specs[0])].runs) == {"a"}


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (Failure("execute", "timeout", "ended after 60 s"), "its recorded run failed: ended after 60 s"),
        (replace(EXECUTED, approximate=True), "emulated only approximately"),
        (replace(EXECUTED, judgement=Judgement(None, "estimated")), "nobody can judge"),
    ],
)
def test_a_backend_without_a_usable_run_takes_nothing(tmp_path: Path, hands: Hands, what: object, why: str) -> None:
    hands.executed["b"] = what  # type: ignore[assignment]
    one = recorded([SPEC], DEVICES, Recording(tmp_path / "r"), hands, SETTINGS)[work_key(SPEC)]
    assert set(one.runs) == {"a"}
    assert why in (one.known[1]["b"].cannot or "")


def test_what_cannot_be_prepared_for_one_backend_is_for_the_others(tmp_path: Path, hands: Hands) -> None:
    hands.unfit = ("a",)
    one = recorded([SPEC], DEVICES, Recording(tmp_path / "r"), hands, SETTINGS)[work_key(SPEC)]
    assert set(one.runs) == {"b"}
    assert "it cannot be read there" in (one.known[1]["a"].cannot or "")
    hands.unfit = ("a", "b")
    with pytest.raises(PlacementError, match=r"broken.qasm: it could not be prepared: it cannot be read there"):
        recorded([replace(OTHER, tags=("broken.qasm",))], DEVICES, Recording(tmp_path / "r"), hands, SETTINGS)


def test_long_runs_are_not_repeated_and_too_long_ones_not_begun(
    tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPEATED_BELOW_S", 0.0)
    devices = {"a": device("a", expected_s=1.0), "b": device("b", expected_s=20.0)}
    found = recorded([SPEC], devices, Recording(tmp_path / "r"), hands, SETTINGS, most_s=5.0)[work_key(SPEC)]
    assert [work.backend for work in hands.asked] == ["a"]
    assert len(found.runs["a"]) == 1
    assert "more than the 5 s that are allowed" in (found.known[1]["b"].cannot or "")


def test_something_else_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("{}\nno json\n")
    with pytest.raises(ConfigurationError, match="is no recording"):
        Recording(tmp_path / "r")


def test_noise_is_told_in_medians(hands: Hands) -> None:
    known = ({}, {})  # type: ignore[var-annotated]
    runs = {"a": (run(1.0, fidelity=0.5), run(3.0, fidelity=0.7)), "b": (run(1.0),)}
    found = noise([Recorded(known, runs)])  # type: ignore[arg-type]
    assert found["num_pairs"] == 1
    assert found["service_s"] == pytest.approx(2**0.5 / 2)
    assert found["fidelity"] == pytest.approx(0.02**0.5)
    assert noise([])["service_s"] is None

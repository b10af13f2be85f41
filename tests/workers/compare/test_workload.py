"""Workloads: everything follows from the seed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from orchestrator.errors import InvalidJob
from workers.compare.workload import FILES, larger, mixed, of_folder

FLIP = 'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\ncreg c[1];\nx q[0];\nmeasure q -> c;\n'


def test_the_mixture_follows_from_its_seed() -> None:
    first, again, other = (mixed(24, seed, horizon_s=5.0) for seed in (7, 7, 8))
    assert first == again
    assert [one.spec for one in first] != [one.spec for one in other]
    kinds = Counter(one.kind for one in first)
    assert kinds == {"autoencoder": 6, "ray tracing": 4, "steane": 4, "openqasm": 10}
    assert first[0].at_s == 0.0
    assert [one.at_s for one in first] == sorted(one.at_s for one in first)
    assert first[-1].at_s <= 5.0


def test_the_larger_ones_are_of_the_three_families_in_equal_parts() -> None:
    first, again = (larger(12, 7, horizon_s=5.0) for _ in range(2))
    assert first == again
    assert Counter(one.kind for one in first) == {"autoencoder": 4, "ray tracing": 4, "steane": 4}
    small, large = ({one.spec.program.content_hash() for one in of} for of in (mixed(60, 7, horizon_s=5.0), first))
    assert not small & large


def test_some_users_insist_on_a_device_where_there_is_one() -> None:
    picky = {one.spec.allow for one in mixed(60, 1, horizon_s=1.0, noisy=("virtual_fez",)) if one.kind == "openqasm"}
    assert picky == {(), ("virtual_fez",)}
    assert {one.spec.allow for one in mixed(60, 1, horizon_s=1.0, noisy=())} == {()}


def test_its_programs_come_with_the_package() -> None:
    assert len(FILES) == 8
    assert all("OPENQASM" in path.read_text() for path in FILES)


def test_a_folder_gives_its_files_in_equal_parts(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.qasm").write_text(FLIP)
    (tmp_path / "deep" / "b.qasm").write_text(FLIP.replace("x q[0]", "h q[0]"))
    (tmp_path / "notes.txt").write_text("no program")
    jobs = of_folder(tmp_path, 6, 1, horizon_s=1.0)
    assert sorted(Counter(one.spec.program.text for one in jobs).values()) == [3, 3]
    assert jobs == of_folder(tmp_path, 6, 1, horizon_s=1.0)


def test_a_folder_without_programs_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidJob, match=r"holds none"):
        of_folder(tmp_path, 2, 1, horizon_s=1.0)

"""What every registered network keeps to."""

from __future__ import annotations

from dataclasses import fields
from importlib.resources import files
from typing import Any

import pytest

from circuits.errors import InvalidParameter
from policies.envs import NETWORKS, load_network

pytest.importorskip("pettingzoo", reason="pip install 'qorch[learn]'")
pytest.importorskip("numba", reason="pip install 'qorch[sparse]'")


@pytest.fixture(params=sorted(NETWORKS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def small(name: str) -> Any:
    kind = load_network(name)
    return kind(kind.setting_type(num_nodes=6, duration_s=12.0, offered_hz=3.0, hop_delay_s=0.3, most_rounds=1))


def test_it_passes_the_checks_of_pettingzoo(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_api_test(small(name), num_cycles=30)
    parallel_seed_test(lambda: small(name), num_cycles=10)
    assert "Passed" in capsys.readouterr().out


def test_it_says_what_it_is(name: str) -> None:
    kind = load_network(name)
    sheet = files(kind.__module__.rpartition(".")[0]).joinpath("SPEC.md").read_text()
    assert (kind.__doc__ or "").strip()
    assert (kind.setting_type.__doc__ or "").strip()
    assert f"`{name}`" in sheet
    assert {item.name for item in fields(kind.setting_type) if f"`{item.name}`" not in sheet} == set()


def test_an_unknown_one_is_refused_by_name() -> None:
    with pytest.raises(InvalidParameter, match=r"Nothing-v1.*Entanglement-v1"):
        load_network("Nothing-v1")

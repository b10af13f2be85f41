"""Words of the command line become values, and what is missing is said in words."""

from __future__ import annotations

import importlib
import sys

import pytest
import typer

from circuits.errors import InvalidParameter
from policies.envs.meqc.world import Setting
from policies.words import errors_in_words, fitting, named, plain, weights_pair


def test_words_become_what_they_look_like() -> None:
    assert [plain(word) for word in ("true", "false", "3", "1e-3", "auto")] == [True, False, 3, 0.001, "auto"]
    assert named("set", ["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    assert named("set", None) == {}
    assert weights_pair("0.8:0.2") == (0.8, 0.2)


def test_words_become_what_a_field_holds() -> None:
    words = {"users": "3", "delay_weight": "1", "reward": "own", "colour": "red"}
    assert fitting(Setting, words) == {"users": 3, "delay_weight": 1.0, "reward": "own", "colour": "red"}
    with pytest.raises(InvalidParameter, match=r"Setting\.users: wanted an integer in \[1, 100000\], got '2\.5'"):
        fitting(Setting, {"users": "2.5"})


def test_a_missing_package_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(typer.Exit), errors_in_words():
        importlib.import_module("torch")
    assert "needs 'torch', which is not installed: pip install 'qorch[learn]'" in capsys.readouterr().err


def test_a_defect_of_ours_is_not_hidden() -> None:
    with pytest.raises(ModuleNotFoundError), errors_in_words():
        importlib.import_module("policies.nowhere")

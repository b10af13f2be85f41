"""Settings as documents come back as they were, whatever was changed in them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits.errors import InvalidParameter
from policies.envs.batched import read_setting, written_setting
from policies.envs.meqc.document import model_of
from policies.envs.meqc.model import MODES
from policies.envs.meqc.world import Setting

OVERRIDES = {
    "share_bandwidth": st.booleans(),
    "chip_f2": st.booleans(),
    "overlap": st.sampled_from(["sum", "max"]),
    "P_M": st.sampled_from(["gate", 0]),
    "concatenation": st.sampled_from([1, 2, "auto", "server"]),
    "gamma_inv": st.floats(1e-4, 10.0),
    "noise_w": st.floats(1e-9, 1.0),
    "att_db": st.integers(10, 60),
    "K": st.integers(2, 9),
    "qpu_use": st.sampled_from(["forced", "economic"]),
}


@given(st.sampled_from(sorted(MODES)), st.fixed_dictionaries({}, optional=OVERRIDES), st.integers(1, 50))
def test_a_setting_comes_back(mode: str, overrides: dict[str, object], users: int) -> None:
    model = model_of(mode, overrides)
    setting = Setting(users=users, weights="drawn", model=model)
    found = read_setting("MEQC-v1", written_setting(setting))
    attenuation = found.model.cryogenics.attenuation
    assert attenuation == pytest.approx(model.cryogenics.attenuation, rel=1e-12)  # it is written in decibel
    cold = replace(found.model.cryogenics, attenuation=model.cryogenics.attenuation)
    assert replace(found, model=replace(found.model, cryogenics=cold)) == setting


def test_what_is_usual_is_not_written() -> None:
    assert written_setting(Setting())["overrides"] == {}
    assert written_setting(Setting(model=MODES["physical"]))["overrides"] == {}


def test_a_setting_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="setting: wanted an object"):
        read_setting("MEQC-v1", [1])
    with pytest.raises(InvalidParameter, match=r"setting\.users: wanted this field"):
        read_setting("MEQC-v1", {name: value for name, value in written_setting(Setting()).items() if name != "users"})

"""Seeds of parts are apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from circuits.seeds import derive

seeds = st.integers(0, 2**31 - 1)


@given(seeds, st.lists(st.integers(0, 100) | st.text(max_size=5), max_size=3))
def test_a_derived_seed_fits_every_simulator_and_stays(seed: int, path: list[int | str]) -> None:
    assert 0 <= derive(seed, *path) < 2**31
    assert derive(seed, *path) == derive(seed, *path)


def test_neighbours_share_nothing() -> None:
    derived = [derive(seed, kind, number) for seed in range(50) for kind in ("share", "round") for number in range(50)]
    assert len(set(derived)) == len(derived)

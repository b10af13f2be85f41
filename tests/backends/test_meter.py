"""Energy from the processor's counters: a share by CPU time, across wrap-around; None where nobody may read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.meter import LEAST_S, Reading, metered, packages, rapl_j, read

WRAP_UJ = 1_000_000


def reading(at: float, cpu_s: float, busy_s: float, **packages_uj: int) -> Reading:
    return Reading(at, cpu_s, busy_s, packages_uj)


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    """A powercap tree with one package, its cores below it, and another kind of zone; and /proc/stat."""
    for zone, name in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core"), ("intel-rapl:1", "psys")):
        folder = tmp_path / zone
        folder.mkdir()
        for file, text in (("name", name), ("energy_uj", "999000"), ("max_energy_range_uj", str(WRAP_UJ))):
            (folder / file).write_text(f"{text}\n")
    (tmp_path / "stat").write_text("cpu  300 0 100 5000 50 0 0 0 0 0\ncpu0 1 2 3\n")
    packages.cache_clear()
    return tmp_path, tmp_path / "stat"


def test_packages_alone_are_counted(machine: tuple[Path, Path]) -> None:
    root, stat = machine
    assert packages(root) == {str(root / "intel-rapl:0"): WRAP_UJ}
    found = read(root, stat)
    assert list(found.packages_uj.values()) == [999_000]
    assert found.busy_s == pytest.approx(4.0), "idle and waiting are not busy; 100 ticks a second"


def test_nothing_is_told_where_the_counters_may_not_be_read(machine: tuple[Path, Path], tmp_path: Path) -> None:
    root, stat = machine
    (root / "intel-rapl:0" / "energy_uj").unlink()
    assert packages(root) == {}
    assert read(root, stat).packages_uj == {}
    with metered(tmp_path / "no such folder", stat) as spent:
        sum(range(200_000))
    assert spent.rapl_j is None
    assert spent.cpu_s > 0.0


def test_a_counter_that_goes_away_meanwhile_costs_the_figure_and_nothing_else(machine: tuple[Path, Path]) -> None:
    root, stat = machine
    with metered(root, stat) as spent:
        (root / "intel-rapl:0" / "energy_uj").unlink()
    assert spent.rapl_j is None


def test_the_run_gets_its_share_of_the_package() -> None:
    before, after = reading(0.0, 1.0, 10.0, a=100_000), reading(1.0, 1.5, 12.0, a=500_000)
    assert rapl_j(before, after, {"a": WRAP_UJ}) == pytest.approx(0.4 * 0.5 / 2.0)
    assert rapl_j(before, reading(1.0, 9.0, 10.5, a=500_000), {"a": WRAP_UJ}) == pytest.approx(0.4), (
        "never more than all"
    )


def test_what_is_too_short_for_the_counters_is_not_attributed() -> None:
    before, after = reading(0.0, 0.0, 0.0, a=0), reading(0.9 * LEAST_S, 0.01, 0.01, a=1000)
    assert rapl_j(before, after, {"a": WRAP_UJ}) is None
    assert rapl_j(reading(0.0, 0.0, 5.0, a=0), reading(1.0, 0.1, 5.0, a=1000), {"a": WRAP_UJ}) is None


@given(start=st.integers(0, WRAP_UJ - 1), used=st.integers(0, WRAP_UJ - 1))
def test_a_counter_that_wraps_around_has_still_counted(start: int, used: int) -> None:
    before, after = reading(0.0, 0.0, 0.0, a=start), reading(1.0, 1.0, 1.0, a=(start + used) % WRAP_UJ)
    assert rapl_j(before, after, {"a": WRAP_UJ}) == pytest.approx(1e-6 * used)

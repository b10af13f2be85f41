"""A price says when and where it is from; a user's table is laid over it or refused in words; unknown is not free."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, load
from backends.errors import InvalidPrices
from backends.pricing import COLUMNS, TARIFFS, UNKNOWN_USD, Price, cost_usd, priced, read_prices, unpriced
from tests.here import is_here

HEADER = ",".join(COLUMNS)
ROW = "fake_hanoi,0.3,,1.6,2026-11-21,our contract"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "prices.csv"


def test_a_price_is_tasks_plus_shots_plus_seconds() -> None:
    price = Price(per_task_usd=0.30, per_shot_usd=0.00145, per_second_usd=1.60)
    assert price.cost_usd(num_tasks=2, shots=200, run_s=0.5) == pytest.approx(0.60 + 0.29 + 0.80)


def test_every_tariff_names_its_source_and_date_and_none_claims_to_be_fetched() -> None:
    for name, price in TARIFFS.items():
        assert "ours" in price.source or "second-hand" in price.source, name
        assert price.date >= "2026-11-20", name


def test_the_better_emulated_device_costs_more_and_simulators_nothing() -> None:
    devices = {name: load(name).device() for name in BACKENDS if is_here(name)}
    prices = {n: cost_usd(d.price, num_tasks=1, shots=1000, run_s=1.0) for n, d in devices.items() if d.price}
    assert prices["fake_hanoi"] > prices["fake_guadalupe"] > 0.0
    assert all(price == 0.0 for name, price in prices.items() if devices[name].kind == "simulator")


def test_an_unknown_price_is_a_refusal_and_never_free() -> None:
    device = replace(load("fake_hanoi").device(), price=None)
    assert cost_usd(device.price, num_tasks=1, shots=1, run_s=0.0) == UNKNOWN_USD
    refusal = unpriced(device)
    assert refusal is not None
    assert "fake_hanoi" in refusal
    assert "QORCH_PRICES" in refusal
    known = priced(device, {"fake_*": Price(per_task_usd=0.3)})
    assert unpriced(known) is None
    assert known.target_version == device.target_version, "a program is not fitted anew for another price"


def test_the_first_row_that_fits_counts(table: Path) -> None:
    rows = [
        "# what our university pays",
        HEADER,
        ROW,
        "",
        'fake_*,0,,,2026-11-21,"free for members, until June"',
        "aer_*,0,0,0.001,2026-11-01,our cluster",
    ]
    table.write_text("\ufeff" + "\n".join(rows))
    prices = read_prices(table)
    assert list(prices) == ["fake_hanoi", "fake_*", "aer_*"]
    hanoi, guadalupe, stim = (
        priced(load(name).device(), prices).price for name in ("fake_hanoi", "fake_guadalupe", "stim")
    )
    assert hanoi == Price(0.3, 0.0, 1.6, source="our contract", date="2026-11-21")
    assert guadalupe is not None
    assert guadalupe.cost_usd(num_tasks=9, shots=9, run_s=9.0) == 0.0
    assert stim is TARIFFS["own_simulator"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "an empty file: wanted the header"),
        (["backend,price", "a,1"], "line 1: wanted the header backend,per_task_usd"),
        ([HEADER, "fake_hanoi,1"], "line 2: wanted 6 fields"),
        ([HEADER, "# remark", ",1,,,2026-11-21,x"], "line 3, field backend"),
        ([HEADER, "a,1,,,2026-11-21,"], "line 2, field source"),
        ([HEADER, "a,,,,2026-11-21,x"], "line 2: wanted at least one of per_task_usd"),
        ([HEADER, "a,-1,,,2026-11-21,x"], "line 2, field per_task_usd"),
        ([HEADER, "a,,nan,,2026-11-21,x"], "line 2, field per_shot_usd"),
        ([HEADER, "a,,,1e9,2026-11-21,x"], "line 2, field per_second_usd"),
        ([HEADER, "a,,,one dollar,2026-11-21,x"], "field per_second_usd: wanted US dollars"),
        ([HEADER, "a,1,,,yesterday,x"], "line 2, field date: wanted the day"),
        ([HEADER, ROW, ROW], "line 3, field backend: 'fake_hanoi' has a row already"),
        ([HEADER, 'a,1,,,2026-11-21,"x'], "not CSV|on a line of its own"),
    ],
)
def test_a_table_that_cannot_be_is_refused_with_line_and_field(table: Path, rows: list[str], words: str) -> None:
    table.write_text("\n".join(rows))
    with pytest.raises(InvalidPrices, match=words):
        read_prices(table)


def test_what_is_no_text_or_not_there_is_refused(table: Path) -> None:
    with pytest.raises(InvalidPrices, match="No such file"):
        read_prices(table)
    table.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidPrices, match="UTF-8"):
        read_prices(table)


@given(st.binary(max_size=300))
def test_no_bytes_end_in_anything_else_than_prices_or_words(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(HEADER.encode() + b"\n" + raw)
    with suppress(InvalidPrices):
        assert all(isinstance(price, Price) for price in read_prices(path).values())

"""Files that are no networks: whatever stands in them, they are refused in a line, or solved."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuits.errors import InvalidParameter
from policies.allocators.optimum import optimum
from policies.allocators.qprimaldual.fluid import Fluid
from policies.envs.qnum import document, topologies

NASTY = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 1e-320, 1e-300, 1e300, math.nan, math.inf, -math.inf, 10**400, "", "5", "\ud800"]
    ),
    st.sampled_from([[], {}, [[]], [None], [0, 0], [1, 0], {"a": 1}, "\n", "x" * 1000, 0.5, 5, -1e-12, 1e-4, 0.999999]),
)
PLACES = tuple(
    [("name",), ("num_nodes",), ("links",), ("flows",), ("links", 1), ("flows", 1)]
    + [("links", 1, key) for key in (*document._LINK_KEYS, "lenght_km")]
    + [("flows", 1, key) for key in (*document._FLOW_KEYS, "heft")]
)


def _with(inside: Any, place: tuple[Any, ...], value: object) -> Any:
    """A copy with a value put in its place, where there still is such a place."""
    if not place:
        return value
    items = dict(inside) if isinstance(inside, dict) else dict(enumerate(inside)) if isinstance(inside, list) else {}
    if not items:
        return inside
    items[place[0]] = _with(items.get(place[0]), place[1:], value)
    return items if isinstance(inside, dict) else list(items.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), NASTY), min_size=1, max_size=2))
def test_whatever_stands_in_a_file_is_a_network_or_refused_in_a_line(attacks: list[tuple[Any, Any]]) -> None:
    attacked = document.written(topologies.dumbbell(2, "skf"))
    for place, value in attacks:
        attacked = _with(attacked, place, value)
    refused = ""
    try:
        network = document.read(attacked)
        best = optimum(network)
    except InvalidParameter as error:
        refused = str(error)
    assert "\n" not in refused
    assert len(refused) < 400
    if refused:
        return
    assert best.kkt_residual < 1e-6
    state = next(iter(Fluid(network).states(Fluid(network).start())))
    assert all(np.isfinite(getattr(state, name)).all() for name in state.__dataclass_fields__)


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff\xfe{}", b"[" * 100_000, b'{"links": ' * 500 + b"1" + b"}" * 500, b'{"links": ' + b"9" * 5000 + b"}"],
    ids=["empty", "no text", "deep", "deep objects", "digits"],
)
def test_what_is_no_json_is_refused_in_a_line(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(text)
    with pytest.raises(InvalidParameter, match=r"^[^\n]+$"):
        document.load(path)


def test_a_file_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MOST_BYTES", 1000)
    with pytest.raises(InvalidParameter, match="at most 1000 bytes"):
        document.load(Path("/dev/zero"))

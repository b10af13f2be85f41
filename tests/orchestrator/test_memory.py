"""The memory of the cost model is persistent, bounded, and the same however its changes were grouped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cost_model.memory import MOST_IN_SHARD, NUM_SHARDS, Memory

KEYS = st.lists(st.integers(0, 300).map(str), max_size=60)


def after(keys: list[str], memory: Memory[int] | None = None) -> Memory[int]:
    memory = memory or Memory()
    for number, key in enumerate(keys):
        memory = memory.put(key, number)
    return memory


@given(KEYS)
def test_it_holds_what_was_put_last(keys: list[str]) -> None:
    memory = after(keys)
    assert dict(memory.items()) == {key: number for number, key in enumerate(keys)}
    assert all(memory.get(key) == keys.__len__() - 1 - keys[::-1].index(key) for key in keys)
    assert memory.get("never") is None


@given(KEYS, st.text(), st.integers())
def test_a_change_leaves_the_memory_before_it_as_it_was(keys: list[str], key: str, value: int) -> None:
    before, again = after(keys), after(keys)
    assert before.put(key, value).get(key) == value
    assert before == again


def test_it_is_bounded_and_forgets_what_was_not_changed_for_longest() -> None:
    memory = after(["kept"])
    most = NUM_SHARDS * MOST_IN_SHARD
    for number in range(2 * most):
        memory = memory.put(str(number), number).put("kept", number)
    assert most * 0.9 < len(list(memory.items())) <= most
    assert memory.get("kept") == 2 * most - 1
    assert memory.get("0") is None
    assert memory.get(str(2 * most - 1)) is not None

"""A persistent mapping of bounded size: each fold gets a new one for the price of a few entries.

Entries are spread over small shards; what changes one of them copies that shard alone. A full shard forgets the entry
that was not changed for longest. Which that is depends on the order of the changes alone, so that a log gives the same
memory however it was cut.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

NUM_SHARDS = 256
MOST_IN_SHARD = 40
"""Together about ten thousand entries (ours)."""


@dataclass(frozen=True)
class Memory(Generic[T]):
    """Key -> value. Each shard has its entries in the order in which they were last changed."""

    shards: tuple[Mapping[str, T], ...] = ({},) * NUM_SHARDS

    def get(self, key: str) -> T | None:
        """What is known under the key."""
        return self.shards[_place(key)].get(key)

    def put(self, key: str, value: T) -> Memory[T]:
        """The memory with this under the key."""
        place = _place(key)
        shard = dict(self.shards[place])
        shard.pop(key, None)  # popped: the last one changed stands last
        shard[key] = value
        if len(shard) > MOST_IN_SHARD:
            del shard[next(iter(shard))]
        return Memory((*self.shards[:place], shard, *self.shards[place + 1 :]))

    def items(self) -> Iterator[tuple[str, T]]:
        """All entries."""
        for shard in self.shards:
            yield from shard.items()


def _place(key: str) -> int:
    return zlib.crc32(key.encode()) % NUM_SHARDS

"""Several processes share one bucket in a real Redis, and together never exceed its rate."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from random import Random

import pytest
import redis

from orchestrator.bucket import MemoryBucket, Rate
from workers.redis_bucket import KEY, RedisBucket
from workers.redis_server import connect, private_server

RATE = Rate(per_s=50.0, burst=20.0)

TAKER = f"""
import sys
from orchestrator.bucket import Rate
from workers.redis_bucket import RedisBucket
from workers.redis_server import connect

bucket = RedisBucket(connect(sys.argv[1]), lambda _: Rate({RATE.per_s}, {RATE.burst}))
sys.stdin.readline()
taken = sum(bucket.take("ibm") == 0.0 for _ in range(400))
print(taken, flush=True)
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with private_server() as found:
        yield found


@pytest.fixture
def connection(url: str) -> Iterator[redis.Redis]:
    opened = connect(url)
    opened.flushdb()
    yield opened
    opened.close()


def redis_s(connection: redis.Redis) -> float:
    seconds, micros = connection.time()
    return float(seconds + micros / 1e6)


def test_processes_together_keep_to_the_rate(url: str, connection: redis.Redis) -> None:
    command = [sys.executable, "-c", TAKER, url]
    takers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    begun = redis_s(connection)
    taken = sum(int(taker.communicate("go\n", timeout=60)[0]) for taker in takers)
    span_s = redis_s(connection) - begun
    assert RATE.burst <= taken <= RATE.burst + RATE.per_s * span_s + 1e-3
    assert all(taker.returncode == 0 for taker in takers)


def test_it_is_the_rule_of_the_bucket_in_memory(connection: redis.Redis) -> None:
    random, now = Random(7), [1_000.0]
    ours = MemoryBucket(lambda _: RATE, lambda: now[0])
    theirs = RedisBucket(connection, lambda _: RATE, clock=lambda: now[0])
    for _ in range(200):
        now[0] += random.choice((0.0, 0.01, 0.1))
        tokens = random.choice((1.0, 2.5, 20.0))
        assert theirs.take("p", tokens) == pytest.approx(ours.take("p", tokens), abs=1e-3)


def test_a_bucket_that_is_full_again_leaves_nothing_behind(connection: redis.Redis) -> None:
    bucket = RedisBucket(connection, lambda _: RATE)
    assert bucket.take("ibm", 20.0) == 0.0
    wait_s = bucket.take("ibm", 20.0)
    assert 0.0 < wait_s <= 0.4 + 1e-3
    assert 0 < connection.ttl(f"{KEY}ibm") <= 2

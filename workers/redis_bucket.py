"""Buckets of tokens that all workers of a cluster share: one script in Redis, on Redis's clock."""

from __future__ import annotations

from collections.abc import Callable

import redis

from orchestrator.bucket import Rate, check_tokens, rate_of

KEY = "qorch.bucket."
AWAY_S = 1.0
"""Until it is worth asking a Redis again that did not answer."""

# As orchestrator.bucket.taken. The key outlives the moment at which the bucket is full, when it says nothing any more.
_TAKE = """
local now = ARGV[4] ~= '' and tonumber(ARGV[4]) or nil
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local per_s, burst, tokens = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
local after = math.max(full_at, now) + tokens / per_s
local wait_s = after - now - burst / per_s
if wait_s > 1e-6 then
  return string.format('%.6f', wait_s)
end
redis.call('SET', KEYS[1], string.format('%.6f', after), 'EX', math.ceil(after - now) + 1)
return '0'
"""


class RedisBucket:
    """:class:`orchestrator.bucket.Bucket`. Atomic, however many processes take."""

    def __init__(
        self,
        connection: redis.Redis,
        rates: Callable[[str], Rate] = rate_of,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Over a live connection; ``clock`` replaces that of Redis, for tests, and must be one for all."""
        self._rates = rates
        self._clock = clock
        self._take = connection.register_script(_TAKE)

    def take(self, key: str, tokens: float = 1.0) -> float:
        """See :class:`orchestrator.bucket.Bucket`. While Redis is away nobody may ask a provider."""
        rate = self._rates(key)
        check_tokens(rate, tokens)
        now = "" if self._clock is None else repr(self._clock())
        try:
            answer = self._take(keys=[KEY + key], args=[rate.per_s, rate.burst, tokens, now])
        except redis.ConnectionError:
            return AWAY_S
        return float(answer)

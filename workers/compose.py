"""Where an address becomes a live transport: the door that :class:`orchestrator.Client` knocks at."""

from __future__ import annotations

from orchestrator.errors import ConfigurationError
from orchestrator.settings import Settings
from orchestrator.settings import settings as environment
from orchestrator.transport import Transport


def connect(url: str | None, settings: Settings | None) -> Transport:
    """The transport behind an address: what :class:`orchestrator.Client` calls.

    Args:
        url: None for the embedded orchestrator, else the address of a cluster's broker.
        settings: None for those of the environment.

    Raises:
        ConfigurationError: no such kind of address.   ServerUnreachable: nothing answers there.
    """
    configuration = settings or environment()
    address = url or configuration.url
    if address is None:
        from workers.local import LocalTransport

        return LocalTransport(configuration)
    if address.partition("://")[0] in ("redis", "rediss", "redis+socket", "redis+unix", "redis+tcp", "unix"):
        from workers.cluster import ClusterTransport

        return ClusterTransport(address, configuration)
    raise ConfigurationError(
        f"a client speaks to redis://…, redis+socket:///… or, without an address, to itself; got {address[:80]!r}"
    )

"""The Celery application, and the broker that speaks through it.

Celery's own tools can be pointed at this module: ``celery -A workers.app inspect active``.
"""

from __future__ import annotations

import logging
import math
import sys
from typing import Any

import redis
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from backends import BACKENDS
from orchestrator.broker import EXECUTE_TASK, PLACE_TASK, PLACEMENT_QUEUE, backend_queue
from orchestrator.settings import Settings, settings
from workers.redis_bus import RedisBus
from workers.redis_server import celery_url, default_redis_url

log = logging.getLogger("qorch.broker")


def make_app(configuration: Settings, redis_url: str) -> Celery:
    """Celery over Redis: JSON only, one message at a time, acknowledged when done.

    A message is a wake-up: what it wakes claims its work from the store. So results are not kept, a message delivered
    twice finds nothing, and one that outlives the visibility timeout is merely a second wake-up.
    """
    app = Celery("qorch", broker=celery_url(redis_url), set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
        worker_consumer="workers.consumer:EventfulConsumer",
        task_queues=[Queue(PLACEMENT_QUEUE), *(Queue(backend_queue(name)) for name in BACKENDS)],
        task_create_missing_queues=True,
        task_default_queue=PLACEMENT_QUEUE,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": math.ceil(4 * configuration.default_timeout_s),
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
        },
        worker_hijack_root_logger=False,
    )
    return app


class CeleryBroker:
    """Sends wake-ups as Celery messages, one for however much there is to do.

    A message that still lies in its queue will find what is new, too, since that was committed before: another one
    would find nothing. Placement is rung for, since it takes less time than a message; a message waits in its queue
    only where nobody hears the bell.
    """

    def __init__(self, app: Celery, bus: RedisBus) -> None:
        self._app = app
        self._bus = bus

    def wake_placement(self) -> None:
        """See :class:`orchestrator.broker.Broker`."""
        self._send(PLACE_TASK, (), PLACEMENT_QUEUE, rings=True)

    def wake_backend(self, backend: str) -> None:
        """See :class:`orchestrator.broker.Broker`."""
        self._send(EXECUTE_TASK, (backend,), backend_queue(backend))

    def close(self) -> None:
        """Give back the connections."""
        self._app.close()

    def _send(self, task: str, arguments: tuple[str, ...], queue: str, *, rings: bool = False) -> None:
        try:
            if (rings and self._bus.ring(queue)) or self._bus.connection.llen(queue):
                return
            self._app.send_task(task, arguments, queue=queue, ignore_result=True, retry=False)
        except (OperationalError, redis.RedisError) as error:
            log.warning("a wake-up is lost, the broker does not answer; the next sweep sends it again: %s", error)


def __getattr__(name: str) -> Any:
    """``app``, made when Celery's command line asks for it, from this process's settings."""
    if name in ("app", "celery"):
        configuration = settings()
        app = make_app(configuration, default_redis_url(configuration))
        setattr(sys.modules[__name__], name, app)
        return app
    raise AttributeError(name)

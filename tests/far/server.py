"""The provider over HTTP, so that it outlives every worker that is killed; faults come as they are asked for.

It runs on a thread of whoever tests. A fault waits for the next request of its step, one after the other.
"""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from backends.remote import RemoteState
from tests.far.provider import Order, Provider

URL = "QORCH_TEST_FAR_URL"
"""Variable by which a child finds the provider."""

HOLD_S = 30.0

FAULTS: dict[str, tuple[str, ...]] = {
    "submit": ("accepted_500", "accepted_lost", "accepted_held", "lost", "throttled", "refused", "offline", "expired"),
    "find": ("error", "lost", "throttled", "expired"),
    "poll": ("error", "lost", "throttled", "expired"),
    "fetch": ("error", "lost", "throttled", "expired"),
    "cancel": ("error", "lost"),
}
"""What can go wrong at each step.

accepted_*: the order stands and its answer is an error, none, or kept back until whoever asked is killed. lost: nothing
was done, and no answer comes. fails, of an order: it ends without counts.
"""

_CODES = {"error": 500, "throttled": 429, "refused": 400, "offline": 503, "expired": 401}


class Shop:
    """A provider, what is to go wrong there, and what has."""

    def __init__(self) -> None:
        self.provider = Provider()
        self.injected: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.state = "online"
        self.questions = 2
        self.held = threading.Event()
        self.release = threading.Event()
        self._plan: dict[str, deque[str]] = defaultdict(deque)
        self._lock = threading.Lock()
        self.url = ""

    def plan(self, step: str, *faults: str) -> None:
        """Have these happen to the next requests of a step."""
        with self._lock:
            self._plan[step].extend(faults)

    @property
    def planned(self) -> int:
        """Faults that wait for a request."""
        with self._lock:
            return sum(len(faults) for faults in self._plan.values())

    def forget(self) -> None:
        """Let what has not happened until now not happen."""
        with self._lock:
            self._plan.clear()

    def fault(self, step: str) -> str:
        """What goes wrong with this request."""
        with self._lock:
            self.asked[step] += 1
            kind = self._plan[step].popleft() if self._plan[step] else ""
            if kind:
                self.injected[f"{step} {kind}"] += 1
            return kind


class _Door(BaseHTTPRequestHandler):
    shop: Shop
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""

    def do_POST(self) -> None:
        step = self.path.strip("/")
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = self.shop.fault(step)
        if kind == "lost":
            self.close_connection = True
            return
        if kind in _CODES:
            self._answer(_CODES[kind], {"message": f"{step}: {kind}"})
            return
        told = getattr(self, f"_{step}")(asked, kind)
        if kind == "accepted_held":
            self.shop.held.set()
            self.shop.release.wait(HOLD_S)
        if kind in ("accepted_lost", "accepted_held"):
            self.close_connection = True
        elif kind == "accepted_500":
            self._answer(500, {"message": "something went wrong"})
        else:
            self._answer(200, told)

    def _answer(self, code: int, told: Any) -> None:
        body = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code == 429:
            self.send_header("Retry-After", "0.2")
        self.end_headers()
        self.wfile.write(body)

    def _device(self, asked: Any, kind: str) -> Any:
        return {"state": self.shop.state}

    def _submit(self, asked: Any, kind: str) -> Any:
        questions, fails = self.shop.questions, asked["shots"] % 7 == 0  # an unlucky number
        order = self.shop.provider.accept(
            asked["purchase_id"], asked["shots"], asked["bits"], questions=questions, fails=fails
        )
        return {"id": order.id}

    def _find(self, asked: Any, kind: str) -> Any:
        order = self.shop.provider.find(asked["purchase_id"])
        return {"id": None if order is None else order.id}

    def _poll(self, asked: Any, kind: str) -> Any:
        return _told(self.shop.provider.ask(asked["id"]))

    def _fetch(self, asked: Any, kind: str) -> Any:
        order = self.shop.provider.orders[asked["id"]]
        return _told(order) | {"counts": order.counts, "usd": order.bill_usd}

    def _cancel(self, asked: Any, kind: str) -> Any:
        self.shop.provider.cancel(asked["id"])
        return {}


def _told(order: Order) -> dict[str, Any]:
    return {"state": order.state.value, "position": 3 if order.state is RemoteState.QUEUED else None}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Whoever asked was killed: that is what is tested."""


@contextmanager
def serving() -> Iterator[Shop]:
    """A shop that is open."""
    shop = Shop()
    server = _Server(("127.0.0.1", 0), cast(Any, type("Door", (_Door,), {"shop": shop})))
    shop.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield shop
    finally:
        shop.release.set()
        server.shutdown()
        server.server_close()
        thread.join()

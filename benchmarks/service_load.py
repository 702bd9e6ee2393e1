"""The service under load on loopback, server and client on this machine: rate, latency, and every record accounted for.

The client is one process with its own event loop; its share of a core is measured, because it takes from the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
import uvloop
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks import Row, options, report
from benchmarks.runtime_latency import evidenceless_bundle, world_rows
from models.payments.oracles.logistic import LogisticParams
from models.payments.world import PaymentsWorld, WorldParams

TOKEN = "caller-0123456789abcdef"
LOADS: tuple[tuple[int, float | None], ...] = ((1, None), (8, None), (32, None), (32, 1000.0), (32, 3000.0))
"""Connections, and requests a second: None is as many as are answered."""


def main() -> None:
    """Rows: connections, offered_per_s (0: as many as are answered), requests_per_s, p50_ms and p99_ms (from the
    moment a request was due), server_cores and client_cores (CPU seconds a second), failed, lost and duplicated
    records. A hot swap happens during the second load; the server is killed after the last."""
    arguments = options(__doc__).parse_args()
    lasting = 4.0 if arguments.quick else 15.0
    world = PaymentsWorld(WorldParams())
    rows = [json.dumps(row)[1:] for row in world_rows(world, 2000).drop("event_id", "decided_at").to_dicts()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = Ed25519PrivateKey.generate()
        (folder / "trusted.pem").write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        first, second = (
            evidenceless_bundle(folder / f"bundle-{n}", world, LogisticParams(strength=n), 0.1, n, key) for n in (1, 2)
        )
        report(_loads(folder, first.path, second.path, rows, lasting), arguments.json)


def _loads(folder: Path, first: Path, second: Path, rows: list[str], lasting: float) -> list[Row]:
    live = folder / "live"
    live.symlink_to(first)
    server, port = _serve(folder, live)
    measured: list[tuple[Row, _Load]] = []
    for number, (connections, rate) in enumerate(LOADS):
        load = _Load(rows, f"load{number}", rate, lasting)
        if number == 1:
            (folder / "next").symlink_to(second)
            os.replace(folder / "next", live)
        before, own = _cpu_seconds(server.pid), _own_seconds()
        took = uvloop.run(_run(load, port, connections))
        cores = (_cpu_seconds(server.pid) - before) / took, (_own_seconds() - own) / took
        measured.append((_row(connections, rate, load, took, *cores), load))
    time.sleep(1.5)  # three flush intervals
    server.send_signal(signal.SIGKILL)
    server.wait()
    sealing, _ = _serve(folder, live)  # a new process seals what the killed one left behind
    time.sleep(2)
    sealing.terminate()
    sealing.wait(timeout=30)
    recorded = pl.concat([pl.read_parquet(path) for path in (folder / "records" / "decisions").glob("*.parquet")])
    recorded_ids = recorded["event_id"]
    for row, load in measured:
        row["lost"] = len(set(load.answered) - set(recorded_ids))
        row["duplicated"] = int(recorded_ids.filter(recorded_ids.str.starts_with(load.name)).is_duplicated().sum())
    if recorded["iteration_id"].n_unique() != 2:
        raise RuntimeError("the swap did not happen")
    return [row for row, _ in measured]


def _row(connections: int, rate: float | None, load: _Load, took: float, server: float, client: float) -> Row:
    p50, p99 = np.quantile(load.taken, (0.5, 0.99)) * 1e3
    return {
        "connections": connections,
        "offered_per_s": rate or 0.0,
        "requests_per_s": len(load.taken) / took,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "server_cores": server,
        "client_cores": client,
        "failed": load.failed,
    }


@dataclass
class _Load:
    """Requests to send and what came of them."""

    rows: list[str]
    name: str
    rate: float | None
    lasting: float
    taken: list[float] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    failed: int = 0
    numbers: Iterator[int] = field(default_factory=count)

    def request(self, number: int) -> tuple[str, bytes]:
        """The event id and the bytes of a request."""
        event_id = f"{self.name}-{number}"
        body = f'{{"event_id":"{event_id}",{self.rows[number % len(self.rows)]}'.encode()
        head = f"POST /v1/decide HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: "
        return event_id, f"{head}{len(body)}\r\n\r\n".encode() + body


class _Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next when it is due."""

    def __init__(self, load: _Load, started: float, done: asyncio.Future[None]) -> None:
        self._load, self._started, self._done = load, started, done
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Collects an answer; HTTP is read as far as this server writes it."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        found = re.search(rb"content-length: (\d+)", self._buffer[:end])
        if found is None or len(self._buffer) < end + 4 + int(found[1]):
            return
        if self._buffer[9:12] == b"200":
            self._load.taken.append(time.perf_counter() - self._due)
            self._load.answered.append(self._event_id)
        else:
            self._load.failed += 1
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Counts an answer that never came."""
        if not self._done.done():
            self._load.failed += 1
            self._done.set_result(None)

    def _next(self) -> None:
        now = time.perf_counter()
        number = next(self._load.numbers)
        self._due = now if self._load.rate is None else self._started + number / self._load.rate
        if max(self._due, now) > self._started + self._load.lasting:
            self._done.set_result(None)
            self._transport.close()
        elif self._due <= now:
            self._send(number)
        else:
            asyncio.get_running_loop().call_later(self._due - now, self._send, number)

    def _send(self, number: int) -> None:
        self._event_id, request = self._load.request(number)
        self._transport.write(request)


async def _run(load: _Load, port: int, connections: int) -> float:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    waiting = [loop.create_future() for _ in range(connections)]
    for done in waiting:
        await loop.create_connection(_factory(load, started, done), "127.0.0.1", port)
    await asyncio.gather(*waiting)
    return time.perf_counter() - started


def _factory(load: _Load, started: float, done: asyncio.Future[None]) -> Callable[[], _Connection]:
    return lambda: _Connection(load, started, done)


def _serve(folder: Path, live: Path) -> tuple[subprocess.Popen[str], int]:
    (folder / "tokens").write_text(f"caller {TOKEN}\n")
    command = [
        *(sys.executable, "-c", "from quaestor.cli import main; main()", "serve", str(live), "--port", "0"),
        *("--records", str(folder / "records"), "--tokens", str(folder / "tokens")),
        *("--key", str(folder / "trusted.pem")),
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert server.stdout is not None
    return server, int(server.stdout.readline().rsplit(":", 1)[1])


def _cpu_seconds(process: int) -> float:
    """CPU seconds of another process so far (Linux)."""
    parts = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

"""A real server on loopback: nothing is lost or doubled over a hot swap, a stop and a kill."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quaestor.export.noise_audit import audit_noise
from quaestor.export.records import Records
from tests.quaestor.export.conftest import KEY, Made, public_pem
from tests.quaestor.export.orders import order_bundle, order_rows
from tests.quaestor.export.serving import CALLER, OPERATOR, Server, point

pytestmark = pytest.mark.slow

FLUSH = 0.1


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "trusted.pem"
    path.write_bytes(public_pem(KEY))
    return path


class Load:
    """Threads that ask for decisions until told to stop; `answers` has (time, answer) of each."""

    def __init__(self, server: Server, name: str, threads: int = 3) -> None:
        self.answers: list[tuple[float, dict[str, Any]]] = []
        self.failures: list[object] = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(server, f"{name}-{n}")) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, server: Server, name: str) -> None:
        client, number = server.client(), 0
        while not self._stopping.is_set():
            row = {"event_id": f"{name}-{number}", "numeric_x": (number % 40) / 20 - 1, "category_level": "L1"}
            try:
                status, answer = client.ask("/v1/decide", row)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(error)
                return
            if status != 200:
                self.failures.append(answer)
            self.answers.append((time.monotonic(), answer))
            number += 1


def _decisions(folder: Path) -> dict[str, dict[str, Any]]:
    rows = [row for path in (folder / "decisions").glob("*.parquet") for row in pl.read_parquet(path).to_dicts()]
    found = {row["event_id"]: row for row in rows}
    assert len(found) == len(rows), "a decision was recorded twice"
    return found


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.1])
def test_a_stop_in_the_first_moments_is_heard(made: Made, tmp_path: Path, key: Path, seconds: float) -> None:
    server = Server(made.first.archive, tmp_path / "records", key)
    time.sleep(seconds)
    assert server.stop() == 0


def test_a_hot_swap_and_a_stop_lose_nothing(made: Made, tmp_path: Path, key: Path) -> None:
    live, folder = tmp_path / "live", tmp_path / "records"
    live.symlink_to(made.first.archive)
    server = Server(live, folder, key, ["--flush-seconds", str(FLUSH)])
    load = Load(server, "swap")
    time.sleep(1)
    point(live, made.second.archive)  # the service notices by itself
    operator = server.client()
    for _ in range(100):
        version = operator.ask("/version")[1]
        if version["serial"] == 2:
            break
        time.sleep(0.1)
    assert (version["serial"], version["iteration_id"]) == (2, made.second.iteration_id)
    time.sleep(0.5)
    load.stop()
    assert operator.ask("/v1/reload", {}, OPERATOR)[1]["swapped"] is False
    assert server.stop() == 0
    assert load.failures == []
    found = _decisions(folder)
    assert set(found) == {answer["event_id"] for _, answer in load.answers}
    assert {row["iteration_id"] for row in found.values()} == {made.first.iteration_id, made.second.iteration_id}
    for _, answer in load.answers:
        row = found[answer["event_id"]]
        assert (row["iteration_id"], row["action"], row["propensity"]) == (
            answer["iteration_id"], answer["action"], answer["propensity"],
        )  # fmt: skip


def test_a_kill_loses_no_more_than_the_flush_interval(made: Made, tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "records"
    promised: set[str] = set()
    for run in range(2):
        server = Server(made.first.path, folder, key, ["--flush-seconds", str(FLUSH)])
        load = Load(server, f"kill{run}")
        time.sleep(1.5)
        server.kill()
        killed = time.monotonic()
        load.stop()
        promised |= {answer["event_id"] for at, answer in load.answers if at < killed - 5 * FLUSH}
    Records(folder).close()
    assert len(promised) > 100
    assert promised <= set(_decisions(folder))


HEAD = f"POST /v1/decide HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {CALLER}\r\n".encode()


def _slowly(content: bytes) -> Iterator[bytes]:
    for letter in content:
        time.sleep(0.2)
        yield bytes([letter])


def _endlessly(part: bytes, size: int) -> Iterator[bytes]:
    for _ in range(size // len(part)):
        yield part


TRYING: dict[str, tuple[bytes, Iterator[bytes], bytes, float]] = {
    "says nothing": (b"", iter(()), b" 408 ", 6),
    "stops in its headers": (HEAD, iter(()), b" 408 ", 6),
    "a letter at a time": (HEAD + b"X: ", _slowly(b"x" * 100), b" 408 ", 6),
    "stops in its body": (HEAD + b"Content-Length: 9\r\n\r\n{", iter(()), b" 408 ", 6),
    "a body a letter at a time": (HEAD + b"Content-Length: 99\r\n\r\n", _slowly(b" " * 100), b" 408 ", 6),
    "endless headers": (HEAD, _endlessly(b"X: " + b"x" * 8000 + b"\r\n", 60 << 20), b" 431 ", 2),
    "a body of 60 MB": (HEAD + b"Content-Length: 60000000\r\n\r\n", _endlessly(b" " * 60_000, 60 << 20), b" 413 ", 2),
    "60 MB in chunks": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", _endlessly(b"EA60\r\n" + b" " * 60_000 + b"\r\n", 60 << 20),
        b" 413 ", 2,
    ),
    "60 MB without a token": (
        HEAD.replace(CALLER.encode(), b"none") + b"Content-Length: 60000000\r\n\r\n",
        _endlessly(b" " * 60_000, 60 << 20), b" 401 ", 2,
    ),
}  # fmt: skip


def _try(port: int, name: str) -> tuple[bytes, float]:
    """What comes back, until the server closes, and after how many seconds."""
    first, parts, _, _ = TRYING[name]
    started, answer = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(first)
        while time.monotonic() < started + 20:
            part = next(parts, None)
            try:
                if part is not None:
                    connection.settimeout(5)
                    connection.sendall(part)
                connection.settimeout(0.001 if part is not None else 20)
                found = connection.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            answer += found
            if not found:
                break
    return answer, time.monotonic() - started


def test_callers_that_try_its_patience_are_sent_away(made: Made, tmp_path: Path, key: Path) -> None:
    server = Server(made.first.archive, tmp_path / "records", key)
    with ThreadPoolExecutor(len(TRYING)) as pool:
        found = dict(zip(TRYING, pool.map(lambda name: _try(server.port, name), TRYING), strict=True))
    assert server.client().ask("/health")[0] == 200
    assert server.stop() == 0
    for name, (answer, took) in found.items():
        assert TRYING[name][2] in answer[:20], (name, answer[:200])
        assert took < TRYING[name][3] + 3, (name, took)


def test_a_server_orders_and_its_records_pass_the_audit(tmp_path: Path, key: Path) -> None:
    bundle = order_bundle(tmp_path / "bundle", 1, KEY)
    server = Server(bundle.archive, tmp_path / "records", key)
    status, answer = server.client().ask("/v1/orders", order_rows(5))
    assert server.stop() == 0
    assert (status, [row["product"] for row in answer]) == (200, [f"p{number}" for number in range(5)])
    assert audit_noise(bundle, tmp_path / "records").holds

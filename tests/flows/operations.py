"""A small site in operation for tests: its studies, its deployments, somebody who is told of alarms, its server."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from models.payments.world import PaymentsWorld, WorldParams, decision_log
from tests.conftest import ROOT, STUDIES


def small_studies(folder: Path) -> dict[str, Path]:
    """A payments and an inventory study that are trained and certified in seconds, by their kind."""
    world = (STUDIES / "payments" / "world.toml").read_text()
    for usual, small in (
        ("episodes = 10000", "episodes = 100"),
        ("per_episode = 400", "per_episode = 20"),
        ("budgets = [0.05, 0.1, 0.2]", "budgets = [0.1]"),
    ):
        assert usual in world
        world = world.replace(usual, small)
    (folder / "payments.toml").write_text(world)
    store = (STUDIES / "inventory" / "one_store_lost.toml").read_text()
    for usual, small in (
        ("epochs = 40", "epochs = 2"),
        ("epochs = 20", "epochs = 1"),
        ("scenarios = 256", "scenarios = 32"),
        ("batch = 128", "batch = 32"),
        ("episodes = 100", "episodes = 40"),
    ):
        store = store.replace(usual, small)
    (folder / "inventory.toml").write_text(store)
    network = STUDIES / "inventory" / "one_store_lost.network.toml"
    (folder / network.name).write_text(network.read_text())
    return {kind: folder / f"{kind}.toml" for kind in ("payments", "inventory")}


def world_events(folder: Path, first: int, count: int) -> dict[str, Path]:
    """Files of decisions that a team explored evenly, and of their outcomes, by their kind."""
    world = PaymentsWorld(WorldParams(seed=3))
    payments = world.payments(count, first, "events")
    draw = np.random.default_rng(first)
    action = np.where(payments.eligible, draw.random(payments.eligible.shape), -1.0).argmax(axis=1)
    uniform = payments.eligible / payments.eligible.sum(axis=1, keepdims=True)
    frames = {
        "decisions": decision_log(payments, uniform, action, "payments-world", "the team"),
        "outcomes": world.outcomes(payments, action, "payments-world"),
    }
    for kind, frame in frames.items():
        frame.write_parquet(folder / f"{kind}-{first}.parquet")
    return {kind: folder / f"{kind}-{first}.parquet" for kind in frames}


def due_soon(folder: Path, studies: dict[str, Path], alerts: Path, now: datetime) -> Path:
    """The house's deployments with these studies and alerts: inbox and alarms due every minute, the others at one
    minute in five, soon after now, since each of them imports torch."""
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    for deployment in content["deployments"]:
        parameters = deployment.setdefault("parameters", {})
        if "study" in parameters:
            kind = "inventory" if "inventory" in parameters["study"] else "payments"
            parameters["study"] = str(studies[kind])
        if "alerts" in parameters:
            parameters["alerts"] = str(alerts)
        often = deployment["entrypoint"] in ("flows.ingest.run_ingest_inbox", "flows.watch_alarms.run_watch_alarms")
        minutes = "*" if often else ",".join(str(minute) for minute in range(60) if (minute - now.minute) % 5 == 3)
        deployment["schedules"] = [{"cron": f"{minutes} * * * *", "timezone": "UTC"}]
    path = folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@contextmanager
def listener() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Somebody on this machine who takes messages: apprise's address of them, and what they were told."""
    told: list[dict[str, Any]] = []

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Takes)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"json://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()


def runs(url: str, states: tuple[str, ...]) -> list[dict[str, Any]]:
    """The flow runs on a server that are in one of these states."""
    return ask(url, "flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": list(states)}}}})


def ask(url: str, path: str, body: dict[str, Any]) -> Any:
    """What the server answers to a request."""
    request = urllib.request.Request(
        f"{url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def wait_until(seen: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `seen` returns once it is something; fails where it is nothing for so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := seen():
                return found
        except OSError:  # the server is down, or not up yet
            pass
        time.sleep(1)
    raise AssertionError(f"not within {seconds:g} s: {what}")

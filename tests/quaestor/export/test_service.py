"""The service over the runtime, in process: every route by role, every bad request by its code, swap and memory."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from quaestor.errors import QuaestorError, UsageError
from quaestor.export.records import RecordParams, Records
from quaestor.export.runtime import load
from quaestor.export.service.app import ROLES, application
from quaestor.export.service.deployment import AUDIT, Deployment
from quaestor.export.service.gate import Gate, GateParams
from quaestor.export.service.refusal import STATUS
from quaestor.export.service.server import ServeParams, serve
from quaestor.export.service.tokens import read_tokens
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from tests.quaestor.export.conftest import TRUSTED, Made, rows

CALLER, OPERATOR, EXPIRED = ("caller-0123456789abcdef", "operator-0123456789abcdef", "expired-0123456789abcdef")


@dataclass
class Service:
    """A running application, its parts, and a way to ask it."""

    gate: Gate
    deployment: Deployment
    records: Records
    folder: Path
    link: Path

    def ask(self, path: str, body: Any = None, token: str | None = CALLER, **options: Any) -> httpx.Response:
        """One request; a body is sent as JSON, bytes as they are."""
        headers = {"host": "localhost", **({"authorization": f"Bearer {token}"} if token else {})}
        headers |= options.pop("headers", {})
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        method = options.pop("method", "GET" if body is None else "POST")

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.gate, raise_app_exceptions=False)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, content=content, headers=headers)

        return asyncio.run(once())

    def point(self, bundle: Path) -> None:
        """Moves the live link to another bundle."""
        replacement = self.link.with_name("next")
        replacement.symlink_to(bundle)
        os.replace(replacement, self.link)


@contextmanager
def _running(made: Made, folder: Path) -> Iterator[Service]:
    tokens, link = folder / "tokens", folder / "live"
    tokens.write_text(f"caller {CALLER}\noperator {OPERATOR}\ncaller {EXPIRED} 2026-01-01T00:00:00Z\n")
    link.symlink_to(made.first.path)
    deployment = Deployment(link, folder / "records", TRUSTED)
    records = Records(folder / "records", RecordParams(flush_seconds=3600, seal_seconds=3600))
    gate = application(deployment, records, GateParams(("localhost",), read_tokens(tokens), slowest_body=0.2))
    yield Service(gate, deployment, records, folder / "records", link)
    records.close()


@pytest.fixture
def service(made: Made, tmp_path: Path) -> Iterator[Service]:
    with _running(made, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for all requests that change nothing."""
    with _running(made, tmp_path_factory.mktemp("shared")) as running:
        yield running


ROW = {"event_id": "e1", "numeric_x": 0.5, "category_level": "L1", "eligible": ["a0", "a2"]}


def test_a_decision_is_the_runtimes(service: Service, made: Made) -> None:
    answer = service.ask("/v1/decide", ROW)
    expected = load(made.first.path, quiet=True).decide(ROW)
    found = answer.json()
    assert answer.status_code == 200
    assert {**found, "decided_at": 0} == {name: expected[name] for name in found} | {"decided_at": 0}


def test_a_list_is_decided_in_its_order(service: Service) -> None:
    sent = [{**ROW, "event_id": f"e{number}"} for number in range(5)]
    assert [found["event_id"] for found in service.ask("/v1/decide", sent).json()] == [f"e{n}" for n in range(5)]


def test_a_retry_gets_the_same_answer_and_one_record(service: Service) -> None:
    first, second = service.ask("/v1/decide", ROW), service.ask("/v1/decide", ROW)
    assert first.content == second.content
    service.records.close()
    (path,) = (service.folder / "decisions").glob("*.parquet")
    assert len(pl.read_parquet(path)) == 1
    assert service.ask("/v1/decide", {**ROW, "numeric_x": 0.6}).json()["code"] == "conflict"


def test_what_it_writes_is_what_ingest_takes(service: Service, settings: Settings) -> None:
    for row in rows(50).drop("decided_at").to_dicts():
        assert service.ask("/v1/decide", row).status_code == 200
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    outcome = {"event_id": "row-3", "observed_at": later, "reward": 1}
    assert service.ask("/v1/outcome", outcome).json() == {"event_id": "row-3", "state": "accepted"}
    service.records.close()
    for kind, count in (("decisions", 50), ("outcomes", 1)):
        (path,) = (service.folder / kind).glob("*.parquet")
        summary = ingest_file(settings.store, kind, path)
        assert (summary.added, summary.refused) == (count, {})
    (draws,) = (service.folder / "draws").glob("*.parquet")
    assert pl.read_parquet(draws).columns == ["system", "event_id", "iteration_id", "seed", "noise"]


def _raw(text: str) -> bytes:
    return ('{"event_id":"e",' + text + "}").encode()


BAD: dict[str, tuple[bytes | Any, str, str | None]] = {
    "NaN": (_raw('"numeric_x":NaN'), "out_of_range", "numeric_x"),
    "Infinity": (_raw('"numeric_x":Infinity'), "out_of_range", "numeric_x"),
    "1e400": (_raw('"numeric_x":1e400'), "out_of_range", "numeric_x"),
    "text for a number": (_raw('"numeric_x":"12"'), "wrong_type", "numeric_x"),
    "true for a number": (_raw('"numeric_x":true'), "wrong_type", "numeric_x"),
    "Arabic-Indic digits": (_raw('"numeric_x":١٢'), "bad_json", None),
    "a number of 5,000 digits": (_raw(f'"numeric_x":{"1" * 5000}'), "bad_json", None),
    "duplicate keys": (_raw('"numeric_x":1,"numeric_x":2'), "bad_json", None),
    "a misspelt field": ({**ROW, "numeric_y": 1}, "unknown_field", "numeric_y"),
    "a number for text": ({**ROW, "category_level": 1}, "wrong_type", "category_level"),
    "long text": ({**ROW, "category_level": "x" * 300}, "wrong_type", "category_level"),
    "no event": ({"numeric_x": 1}, "missing_field", "event_id"),
    "an empty event": ({**ROW, "event_id": ""}, "wrong_type", "event_id"),
    "a long event": ({**ROW, "event_id": "x" * 10_000}, "wrong_type", "event_id"),
    "a right-to-left mark": ({**ROW, "event_id": "\u202egpj"}, "wrong_type", "event_id"),
    "half a character": (b'{"event_id":"\\ud800"}', "bad_json", None),
    "no Unicode": (b'{"event_id":"\xff"}', "bad_json", None),
    "an empty eligible set": ({**ROW, "eligible": []}, "empty_eligible", "eligible"),
    "an unseen action": ({**ROW, "eligible": ["a9"]}, "unknown_action", "eligible"),
    "an action twice": ({**ROW, "eligible": ["a0", "a0"]}, "wrong_type", "eligible"),
    "eligible as text": ({**ROW, "eligible": "a0"}, "wrong_type", "eligible"),
    "a number alone": (b"5", "wrong_type", None),
    "nothing": (b"", "bad_json", None),
    "no rows": (b"[]", "too_many_rows", None),
    "too many rows": ([ROW] * 101, "too_many_rows", None),
    "JSON 100,000 deep": (b"[" * 100_000, "bad_json", None),
    "objects 20,000 deep": (b'{"event_id":' * 20_000, "bad_json", None),
    "a large body": (b"x" * 300_000, "too_large", None),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_gets_its_code_and_field_and_no_trace(shared: Service, name: str) -> None:
    body, code, field = BAD[name]
    answer = shared.ask("/v1/decide", body)
    found = answer.json()
    assert (found["code"], found.get("field"), answer.status_code) == (code, field, STATUS[code])
    assert set(found) <= {"code", "message", "field"}
    assert "Traceback" not in answer.text
    assert shared.records.waiting == 0


@pytest.mark.parametrize("value", [-5.0, 1e15, 1e300, None])
def test_what_the_policy_was_not_made_for_gets_the_default(service: Service, value: float | None) -> None:
    found = service.ask("/v1/decide", {**ROW, "numeric_x": value}).json()
    assert (found["action"], found["propensity"], found["fallback"]) == ("a0", 1.0, True)


NOW = datetime.now(UTC)
OUTCOME = {"event_id": "e1", "observed_at": NOW.isoformat(), "reward": 1.0}
BAD_OUTCOMES: dict[str, tuple[dict[str, Any], str]] = {
    "a naive time": ({"observed_at": "2026-01-01T00:00:00"}, "wrong_type"),
    "no time": ({"observed_at": None}, "wrong_type"),
    "the far future": ({"observed_at": "2036-01-01T00:00:00Z"}, "out_of_range"),
    "a reward too large": ({"reward": 1.01}, "out_of_range"),
    "a reward that is text": ({"reward": "1"}, "wrong_type"),
    "a reward that is true": ({"reward": True}, "wrong_type"),
    "NaN": ({"reward": float("nan")}, "out_of_range"),
    "a half revision": ({"revision": 0.5}, "wrong_type"),
    "an unknown field": ({"rewards": 1}, "unknown_field"),
    "no event": ({"event_id": None}, "missing_field"),
}


@pytest.mark.parametrize("name", BAD_OUTCOMES)
def test_a_bad_outcome_gets_its_code(shared: Service, name: str) -> None:
    change, code = BAD_OUTCOMES[name]
    assert shared.ask("/v1/outcome", OUTCOME | change).json()["code"] == code


def test_an_outcome_twice_is_a_duplicate_and_another_a_conflict(service: Service) -> None:
    decided = service.ask("/v1/decide", ROW).json()
    early = (datetime.fromisoformat(decided["decided_at"]) - timedelta(seconds=1)).isoformat()
    later = (datetime.fromisoformat(decided["decided_at"]) + timedelta(seconds=1)).isoformat()
    good = {**OUTCOME, "observed_at": later}
    answers = [
        service.ask("/v1/outcome", body).json()
        for body in (
            {**good, "observed_at": early},
            good,
            good,
            {**good, "reward": 0},
            {**good, "revision": 1, "reward": 0},
        )
    ]
    assert [found.get("code", found.get("state")) for found in answers] == [
        "early", "accepted", "duplicate", "conflict", "accepted",
    ]  # fmt: skip


TOKENS = {"none": None, "wrong": "wrong-0123456789abcdef", "expired": EXPIRED, "caller": CALLER, "operator": OPERATOR}
MAY = {"anyone": set(TOKENS), "caller": {"caller", "operator"}, "operator": {"operator"}}
STRANGE = {"evil host": {"host": "evil"}, "evil origin": {"origin": "http://evil"}, "null origin": {"origin": "null"}}


@pytest.mark.parametrize("token", TOKENS)
def test_every_route_of_the_application_by_role_host_and_origin(shared: Service, token: str) -> None:
    assert set(shared.gate.roles) == {*ROLES, "/v1/decide", "/v1/outcome"}
    for path, role in shared.gate.roles.items():
        body = b"{}" if path.startswith("/v1/") else None
        status = shared.ask(path, body, TOKENS[token]).status_code
        if token in MAY[role]:
            assert status not in (401, 403, 404), path
        else:
            assert status == (403 if token == "caller" else 401), path
        for name, headers in STRANGE.items():
            found = shared.ask(path, body, TOKENS[token], headers=headers)
            assert found.json()["code"] == f"wrong_{name.split()[1]}", (path, name)


@pytest.mark.parametrize("scheme", ["", "Basic ", "bearer  ", "Token "])
def test_a_token_counts_only_as_a_bearers(shared: Service, scheme: str) -> None:
    answer = shared.ask("/version", token=None, headers={"authorization": scheme + CALLER})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/decide/", "/%2e%2e/version", "/HEALTH", "//health"])
def test_only_exact_paths_exist(shared: Service, path: str) -> None:
    assert shared.ask(path).json()["code"] == "not_found"


def test_a_wrong_method_is_said(shared: Service) -> None:
    assert shared.ask("/v1/decide").json()["code"] == "wrong_method"
    assert shared.ask("/health", b"{}").json()["code"] == "wrong_method"


def test_a_route_without_a_role_is_not_built(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ROLES, "/metrics")
    with pytest.raises(RuntimeError, match="/metrics"):
        application(service.deployment, service.records, GateParams(("localhost",)))


def test_a_slow_body_is_cut_off(shared: Service) -> None:
    sent: list[Any] = []

    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {CALLER}".encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/decide", "headers": headers}
    asyncio.run(shared.gate(scope, trickle, send))
    assert sent[0]["status"] == 408


def test_what_fails_inside_is_no_trace_for_the_caller(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("quaestor.export.service.payments_desk.decision_rows", broken)
    answer = service.ask("/v1/decide", ROW)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text


def test_another_bundle_takes_over_and_an_older_one_does_not(service: Service, made: Made) -> None:
    before = service.ask("/v1/decide", ROW).json()["iteration_id"]
    service.point(made.second.path)
    assert service.deployment.changed()
    assert service.ask("/v1/reload", b"", OPERATOR, method="POST").json()["swapped"] is True
    assert service.ask("/v1/decide", {**ROW, "event_id": "e2"}).json()["iteration_id"] != before
    assert service.ask("/v1/decide", ROW).json()["iteration_id"] == before, "a retry is not decided anew"

    service.point(made.first.path)
    refused = service.ask("/v1/reload", b"", OPERATOR, method="POST")
    assert (refused.status_code, refused.json()["code"]) == (409, "bundle_refused")
    assert "authorised rollback" in refused.json()["message"]
    assert service.ask("/health", token=None).json() == {"status": "degraded"}
    assert service.ask("/v1/decide", {**ROW, "event_id": "e3"}).json()["iteration_id"] == made.second.iteration_id
    with pytest.raises(QuaestorError, match="authorised rollback"):
        Deployment(service.link, service.folder, TRUSTED)

    back = service.ask("/v1/reload", {"rollback_reason": "declines rose"}, OPERATOR)
    assert back.json()["iteration_id"] == made.first.iteration_id
    assert service.ask("/health", token=None).json() == {"status": "ok"}
    trail = [json.loads(line) for line in (service.folder / AUDIT).read_text().splitlines()]
    assert [line["action"].split()[0] for line in trail] == ["start", "swap", "refuse", "rollback"]
    assert "declines rose" in trail[-1]["reason"]


def test_a_damaged_bundle_is_not_taken(service: Service, made: Made, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(made.second.path, tmp_path / "broken"))
    (broken / "policy.onnx").write_bytes(b"nothing")
    service.point(broken)
    assert "policy.onnx does not match" in service.ask("/v1/reload", b"", OPERATOR, method="POST").json()["message"]
    service.point(tmp_path / "nowhere")
    assert "No bundle at" in service.ask("/v1/reload", b"", OPERATOR, method="POST").json()["message"]
    assert service.ask("/v1/decide", ROW).status_code == 200


def test_a_disk_that_takes_nothing_leaves_the_old_bundle_deciding(
    service: Service, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    service.point(made.second.path)
    with monkeypatch.context() as patched:
        for call in ("write_file", "Deployment._audit"):
            patched.setattr(f"quaestor.export.service.deployment.{call}", full)
        refused = service.ask("/v1/reload", b"", OPERATOR, method="POST")
    assert (refused.status_code, refused.json()["code"]) == (409, "bundle_refused")
    assert "No space left" in refused.json()["message"]
    assert service.ask("/v1/decide", ROW).json()["iteration_id"] == made.first.iteration_id
    assert service.ask("/health", token=None).json() == {"status": "degraded"}
    assert service.deployment.changed(), "it is looked at again by itself"
    assert service.ask("/v1/reload", b"", OPERATOR, method="POST").json()["swapped"] is True


def test_a_slower_bundle_is_not_taken(service: Service, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    service.point(made.second.path)
    monkeypatch.setattr("quaestor.export.service.takeover.SLOWEST_SECONDS", 1e-9)
    assert "ms for a decision" in service.ask("/v1/reload", b"", OPERATOR, method="POST").json()["message"]


def test_metrics_have_bounded_labels(service: Service) -> None:
    for number in range(20):
        service.ask("/v1/decide", {**ROW, "event_id": f"e{number}"})
    service.ask("/v1/decide", b"x")
    text = service.ask("/metrics").text
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert sum(int(n) for name, n in samples.items() if name.startswith("quaestor_decisions_total")) == 20
    assert samples['quaestor_refused_total{code="bad_json"}'] == "1"
    assert samples["quaestor_decision_seconds_count"] == "20"
    assert samples["quaestor_records_waiting"] == "40"
    assert "e7" not in text


def test_a_full_memory_of_records_refuses_rather_than_decides_in_secret(service: Service, made: Made) -> None:
    object.__setattr__(service.records.params, "most_waiting", 0)
    answer = service.ask("/v1/decide", ROW)
    assert (answer.status_code, answer.json()["code"]) == (503, "records_full")


def test_the_document_describes_the_policys_own_inputs(shared: Service) -> None:
    document = shared.ask("/openapi.json").json()
    row = document["paths"]["/v1/decide"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]
    assert set(row["properties"]) == {"event_id", "eligible", "numeric_x", "category_level"}
    assert set(document["paths"]) == set(shared.gate.roles) - {"/openapi.json"}


BAD_TOKENS = [
    "",
    "caller short",
    "admin 0123456789abcdef",
    "caller 0123456789abcdef tomorrow",
    "caller 0123456789abcdef 2027-01-01",
]


@pytest.mark.parametrize("line", BAD_TOKENS)
def test_a_bad_tokens_file_is_a_sentence(tmp_path: Path, line: str) -> None:
    (tmp_path / "tokens").write_text(line + "\n")
    with pytest.raises(UsageError):
        read_tokens(tmp_path / "tokens")


def test_serving_needs_keys_and_tokens_or_an_open_word(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--unsigned"):
        serve(ServeParams(made.first.path, tmp_path), None)
    with pytest.raises(UsageError, match="--upstream-auth"):
        serve(ServeParams(made.first.path, tmp_path), TRUSTED)

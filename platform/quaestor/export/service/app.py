"""The routes of the service: a FastAPI application over the runtime."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from quaestor import __version__
from quaestor.errors import QuaestorError
from quaestor.export.bundle import CERTIFICATE
from quaestor.export.records import Records, RecordsFullError, as_json
from quaestor.export.service.deployment import Deployment
from quaestor.export.service.documentation import decide_documentation, outcome_documentation
from quaestor.export.service.gate import Direct, Gate, GateParams
from quaestor.export.service.memory import Recent
from quaestor.export.service.metrics import Metrics
from quaestor.export.service.parsing import decision_rows, outcome_record, reload_reason
from quaestor.export.service.refusal import RefusedError
from quaestor.export.service.tokens import Role
from quaestor.export.single import Record
from quaestor.export.strict_json import strict_json

WATCH_SECONDS = 1.0
"""How often the path of the bundle is looked at."""

ROLES: dict[str, Role] = {
    "/v1/decide": "caller",
    "/v1/outcome": "caller",
    "/v1/reload": "operator",
    "/version": "caller",
    "/metrics": "caller",
    "/health": "anyone",
    "/openapi.json": "caller",
}
"""Who may use each route; one that is not listed here cannot be reached."""

_ANSWERED = ("event_id", "decided_at", "iteration_id", "eligible", "propensities", "action", "propensity", "fallback")


@dataclass(frozen=True)
class _Decided:
    """A decision that was given: what was asked, its record, and the answer's bytes."""

    row: dict[str, Any]
    record: Record
    answer: str


class Service:
    """The application's state, and what each route does."""

    def __init__(self, deployment: Deployment, records: Records) -> None:
        self.deployment, self.records = deployment, records
        self.metrics = Metrics()
        self._decided: Recent[_Decided] = Recent()
        self._outcomes: Recent[Record] = Recent()

    def decide(self, body: bytes) -> tuple[int, bytes]:
        """Decides the rows of a request; a repeated event gets the decision that it got before."""
        live = self.deployment.live
        rows, is_list = decision_rows(body, live.fields, live.actions)
        answers = [self._decide_row(row) for row in rows]
        return 200, (f"[{','.join(answers)}]" if is_list else answers[0]).encode()

    def outcome(self, body: bytes) -> tuple[int, bytes]:
        """Keeps an outcome; ingest joins it to its decision."""
        record = outcome_record(body, self.deployment.live.bundle.system)
        name = record["event_id"], record["revision"]
        before, decided = self._outcomes.get(name), self._decided.get(record["event_id"])
        if before is not None and before != record:
            self.metrics.outcomes["conflict"] += 1
            raise RefusedError(
                "conflict", "Another outcome of this event and revision was reported; neither overwrites it."
            )
        if decided is not None and record["observed_at"] < decided.record["decided_at"]:
            self.metrics.outcomes["early"] += 1
            raise RefusedError(
                "early", "The outcome was observed before its decision; check the clocks.", "observed_at"
            )
        state = "accepted" if before is None else "duplicate"
        if before is None:
            _held(lambda: self.records.append("outcomes", record))
            self._outcomes.keep(name, record)
        self.metrics.outcomes[state] += 1
        return 202, as_json({"event_id": record["event_id"], "state": state}).encode()

    def health(self) -> dict[str, str]:
        """Whether all is well; details are for those with a token."""
        return {"status": "degraded" if self.records.problem or self.deployment.refusal else "ok"}

    def version(self) -> dict[str, Any]:
        """What is live, whose it is, and what is wrong if anything is."""
        bundle = self.deployment.live.bundle
        return {
            "quaestor": __version__,
            "system": bundle.system,
            "iteration_id": bundle.iteration_id,
            "serial": bundle.serial,
            "digest": bundle.digest,
            "trust": bundle.trust(),
            "certificate_expires_at": strict_json(bundle.files[CERTIFICATE])["expires_at"],
            "records_problem": self.records.problem,
            "records_waiting": self.records.waiting,
            "flush_seconds": self.records.params.flush_seconds,
            "refused_bundle": self.deployment.refusal,
        }

    def _decide_row(self, row: dict[str, Any]) -> str:
        before = self._decided.get(row["event_id"])
        if before is not None:
            if before.row != row:
                raise RefusedError("conflict", "This event was decided already, from other features.", "event_id")
            self.metrics.repeated += 1
            return before.answer
        start = time.perf_counter()
        record, draw = self.deployment.live.single.decide(row)
        self.metrics.decided(record["action"], record["fallback"], time.perf_counter() - start)
        _held(lambda: self.records.decision(record, draw))
        answer = as_json({name: record[name] for name in _ANSWERED})
        self._decided.keep(row["event_id"], _Decided(row, record, answer))
        return answer


def application(deployment: Deployment, records: Records, params: GateParams) -> Gate:
    """The whole service as an ASGI application; it closes the records when it ends."""
    service = Service(deployment, records)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(_watch(deployment))
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await asyncio.to_thread(records.close)

    app = FastAPI(
        title=f"Decisions for {deployment.live.bundle.system}",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_exception_handler(RefusedError, _refusal)
    app.add_exception_handler(HTTPException, _refusal)
    app.add_exception_handler(Exception, _refusal)
    direct: dict[str, Direct] = {"/v1/decide": service.decide, "/v1/outcome": service.outcome}
    gate = Gate(app, ROLES, direct, params)

    @app.post("/v1/decide", openapi_extra=decide_documentation(deployment.live.bundle))
    async def decide(request: Request) -> Response:
        """Decide one payment, or a list of them; the same event always gets the same decision."""
        status, answer = service.decide(await request.body())
        return Response(answer, status, media_type="application/json")

    @app.post("/v1/outcome", status_code=202, openapi_extra=outcome_documentation())
    async def outcome(request: Request) -> Response:
        """Report what became of a payment."""
        status, answer = service.outcome(await request.body())
        return Response(answer, status, media_type="application/json")

    @app.post("/v1/reload")
    async def reload(request: Request) -> dict[str, Any]:
        """Look at the bundle's path again; a reason allows going back to an older iteration."""
        reason = reload_reason(await request.body())
        try:
            taken = await asyncio.to_thread(deployment.reload, "an operator", reason)
        except QuaestorError as error:
            raise RefusedError("bundle_refused", str(error)) from None
        return {"swapped": taken, **service.version()}

    @app.get("/version")
    async def version() -> dict[str, Any]:
        """What is live here."""
        return service.version()

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counters for Prometheus."""
        return Response(service.metrics.text(deployment, records, gate.refused), media_type="text/plain; version=0.0.4")

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether decisions are made and recorded."""
        return service.health()

    paths = {getattr(route, "path", "") for route in app.routes}
    if paths != set(ROLES):
        raise RuntimeError(f"routes without a role, or roles without a route: {sorted(paths ^ set(ROLES))}")
    return gate


async def _watch(deployment: Deployment) -> None:
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        if deployment.changed():
            with suppress(QuaestorError):  # the deployment has noted and audited why
                await asyncio.to_thread(deployment.reload, "a change at its path")


async def _refusal(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        code = "wrong_method" if error.status_code == 405 else "not_found"
        error = RefusedError(
            code, "This path does not take that method." if code == "wrong_method" else "Nothing here."
        )
    refusal = (
        error if isinstance(error, RefusedError) else RefusedError("internal", "Something failed here; it was logged.")
    )
    return Response(refusal.body(), refusal.status, media_type="application/json")


def _held(keep: Any) -> None:
    try:
        keep()
    except RecordsFullError as error:
        raise RefusedError("records_full", f"{error} A decision that cannot be recorded is not made.") from None

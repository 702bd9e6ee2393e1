"""The service: a FastAPI application over the runtime, with the routes of the kind of system that its bundle is of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from quaestor import __version__
from quaestor.errors import QuaestorError
from quaestor.export.bundle import CERTIFICATE
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.records import Records
from quaestor.export.service.deployment import Deployment
from quaestor.export.service.desk import Desk, Route
from quaestor.export.service.gate import Gate, GateParams
from quaestor.export.service.metrics import Metrics
from quaestor.export.service.orders_desk import OrdersDesk
from quaestor.export.service.parsing import reload_reason
from quaestor.export.service.payments_desk import PaymentsDesk
from quaestor.export.service.refusal import RefusedError
from quaestor.export.service.tokens import Role
from quaestor.export.strict_json import strict_json

WATCH_SECONDS = 1.0
"""How often the path of the bundle is looked at."""

ROLES: dict[str, Role] = {
    "/v1/reload": "operator",
    "/version": "caller",
    "/metrics": "caller",
    "/health": "anyone",
    "/openapi.json": "caller",
}
"""Who may use each route that every service has; a desk names the roles of its own, and what is in neither cannot be
reached."""


def application(deployment: Deployment, records: Records, params: GateParams) -> Gate:
    """The whole service as an ASGI application; it closes the records when it ends."""
    metrics = Metrics()
    payments = isinstance(deployment.live.bundle.policy, PaymentsPolicy)
    desk: Desk = (PaymentsDesk if payments else OrdersDesk)(deployment, records, metrics)
    routes = desk.routes

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
    for refused in (RefusedError, HTTPException, Exception):
        app.add_exception_handler(refused, _refusal)
    roles = ROLES | {path: route.role for path, route in routes.items()}
    gate = Gate(app, roles, {path: route.answer for path, route in routes.items()}, params)
    for path, route in routes.items():
        app.add_api_route(
            path, _over_http(route), methods=["POST"], description=route.says, openapi_extra=route.documentation
        )

    @app.post("/v1/reload")
    async def reload(request: Request) -> dict[str, Any]:
        """Look at the bundle's path again; a reason allows going back to an older iteration."""
        reason = reload_reason(await request.body())
        try:
            taken = await asyncio.to_thread(deployment.reload, "an operator", reason)
        except QuaestorError as error:
            raise RefusedError("bundle_refused", str(error)) from None
        return {"swapped": taken, **_version(deployment, records)}

    @app.get("/version")
    async def version() -> dict[str, Any]:
        """What is live here."""
        return _version(deployment, records)

    @app.get("/metrics")
    async def metrics_text() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(deployment, records, gate.refused), media_type="text/plain; version=0.0.4")

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Whether decisions are made and recorded; details are for those with a token."""
        return {"status": "degraded" if records.problem or deployment.refusal else "ok"}

    paths = {getattr(route, "path", "") for route in app.routes}
    if paths != set(roles):
        raise RuntimeError(f"routes without a role, or roles without a route: {sorted(paths ^ set(roles))}")
    return gate


def _version(deployment: Deployment, records: Records) -> dict[str, Any]:
    """What is live, whose it is, and what is wrong if anything is."""
    bundle = deployment.live.bundle
    return {
        "quaestor": __version__,
        "system": bundle.system,
        "iteration_id": bundle.iteration_id,
        "serial": bundle.serial,
        "digest": bundle.digest,
        "trust": bundle.trust(),
        "certificate_expires_at": strict_json(bundle.files[CERTIFICATE])["expires_at"],
        "records_problem": records.problem,
        "records_waiting": records.waiting,
        "flush_seconds": records.params.flush_seconds,
        "refused_bundle": deployment.refusal,
    }


def _over_http(route: Route) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def answer(request: Request) -> Response:
        status, content = route.answer(await request.body())
        return Response(content, status, media_type="application/json")

    return answer


async def _watch(deployment: Deployment) -> None:
    said = ""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        try:
            if deployment.changed():
                await asyncio.to_thread(deployment.reload, "a change at its path")
        except QuaestorError as error:  # audited already; the live bundle goes on deciding
            if str(error) != said:
                logging.getLogger("quaestor").error(str(error))
            said = str(error)


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

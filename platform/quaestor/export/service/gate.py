"""What stands before the application: who may come in, through which name, and with how much."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quaestor.export.service.refusal import RefusedError
from quaestor.export.service.tokens import Role, Token, find

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Direct = Callable[[bytes], tuple[int, bytes]]
"""Answers a body with a status and JSON, without a framework's overhead."""


@dataclass(frozen=True)
class GateParams:
    """hosts: names under which the service may be called, without port. tokens: empty only where something in front
    authenticates callers (`upstream`). largest_body in bytes, slowest_body in seconds."""

    hosts: tuple[str, ...]
    tokens: tuple[Token, ...] = ()
    upstream: bool = False
    largest_body: int = 1 << 18
    slowest_body: float = 5.0
    origins: tuple[str, ...] = field(default=())


class Gate:
    """Checks every request before the application sees it, and turns what it raises into an answer.

    roles maps each exact path to the role that it needs; a path that is not there does not exist. direct holds the
    paths that are called a thousand times a second: a POST to one of them is answered here, which costs a third of
    the way through the framework, and means the same.
    """

    def __init__(
        self, application: Application, roles: dict[str, Role], direct: dict[str, Direct], params: GateParams
    ) -> None:
        self.roles = roles
        self._application, self._direct, self._params = application, direct, params
        self.refused: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        headers, body = dict(scope["headers"]), None
        try:
            self._check(scope, headers)
            body = await self._body(headers, receive)
            direct = self._direct.get(scope["path"])
            if direct is not None and scope["method"] == "POST":
                await _answer(*direct(body), sending)
            else:
                await self._application(scope, _replay(body, receive), sending)
        except RefusedError as refusal:
            unread = body is None and (headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers)
            await self._refuse(refusal, send, unread)
        except ConnectionError:
            return
        except Exception:
            if started:
                raise
            await self._refuse(RefusedError("internal", "Something failed here; it was logged."), send)
            raise

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        host = _without_port(headers.get(b"host", b"").decode("latin-1").lower())
        if host not in self._params.hosts:
            raise RefusedError("wrong_host", "This service is not called by that name; see --allow-host.")
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1") not in self._params.origins:
            raise RefusedError("wrong_origin", "This service is not for web pages.")
        role = self.roles.get(scope["path"])
        if role is None:
            raise RefusedError("not_found", "There is nothing at this path; see /openapi.json.")
        if role != "anyone" and not self._params.upstream:
            self._authenticate(headers.get(b"authorization", b""), role)

    def _authenticate(self, header: bytes, role: Role) -> None:
        kind, _, presented = header.decode("latin-1").partition(" ")
        token = find(self._params.tokens, presented) if kind.lower() == "bearer" else None
        if token is None:
            raise RefusedError("not_authenticated", "Give a valid bearer token; it may have expired.")
        if not token.allows(role):
            raise RefusedError("not_allowed", f"This token is not one of an {role}.")

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        limit = self._params.largest_body
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared[:20]) > limit:
            raise RefusedError("too_large", f"A body may have {limit:,} bytes.")
        try:
            async with asyncio.timeout(self._params.slowest_body):
                message = await _next(receive)
                body: bytes = message.get("body", b"")
                while message.get("more_body") and len(body) <= limit:
                    message = await _next(receive)
                    body += message.get("body", b"")
        except TimeoutError:
            raise RefusedError("too_slow", f"The body took longer than {self._params.slowest_body:g} s.") from None
        if len(body) > limit:
            raise RefusedError("too_large", f"A body may have {limit:,} bytes.")
        return body

    async def _refuse(self, refusal: RefusedError, send: Send, unread: bool = False) -> None:
        self.refused[refusal.code] = self.refused.get(refusal.code, 0) + 1
        headers = []
        if refusal.code == "not_authenticated":
            headers.append((b"www-authenticate", b"Bearer"))
        if unread:  # nobody waits for the rest of a body that will not be looked at
            headers.append((b"connection", b"close"))
        await _answer(refusal.status, refusal.body(), send, headers)


async def _answer(status: int, body: bytes, send: Send, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    own = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})


async def _next(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ConnectionError
    return message


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = True

    async def again() -> Message:
        nonlocal waiting
        if waiting:
            waiting = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]

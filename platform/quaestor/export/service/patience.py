"""How long a connection may take to say what it wants; uvicorn by itself would wait for ever."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from quaestor.export.service.refusal import RefusedError

SLOWEST_HEAD = 5.0
"""Seconds until a request line and its headers must have come."""

LARGEST_HEAD = 1 << 16
"""Bytes that they may have."""


class PatientProtocol(HttpToolsProtocol):
    """HTTP on one connection; a slow or endless head is answered with 408 or 431 and the connection closed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._heading, self._taken = True, 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to wait."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self._deadline = self.loop.call_later(SLOWEST_HEAD, self._too_slow)

    def data_received(self, data: bytes) -> None:
        """Parses what came; a head that is not complete by now is waited for no longer than its time."""
        super().data_received(data)
        if not self._heading:
            self._stop_waiting()
            return
        self._taken += len(data)
        if self._taken > LARGEST_HEAD:
            self._refuse(RefusedError("large_head", f"Headers may have {LARGEST_HEAD:,} bytes."))
        elif self._deadline is None:
            self._deadline = self.loop.call_later(SLOWEST_HEAD, self._too_slow)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._heading, self._taken = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._heading = False
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self._refuse(RefusedError("too_slow", f"The headers took longer than {SLOWEST_HEAD:g} s."))

    def _refuse(self, refusal: RefusedError) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        body = refusal.body()
        head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[refusal.status] + head.encode() + body)
        self.transport.close()

"""What answers the requests of one kind of system: payments or orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from quaestor.export.records import RecordsFullError
from quaestor.export.service.refusal import RefusedError
from quaestor.export.service.tokens import Role


@dataclass(frozen=True)
class Route:
    """A POST: what it does with a body, who may use it, and its part of the OpenAPI document with a sentence."""

    answer: Callable[[bytes], tuple[int, bytes]]
    role: Role
    says: str
    documentation: dict[str, Any]


class Desk(Protocol):
    """The routes that only one kind of system has."""

    @property
    def routes(self) -> Mapping[str, Route]:
        """Its routes by path."""


def held(keep: Callable[[], None]) -> None:
    """Keeps records; where no more can be held the request is refused, for nothing is decided in secret."""
    try:
        keep()
    except RecordsFullError as error:
        raise RefusedError("records_full", f"{error} A decision that cannot be recorded is not made.") from None

"""What the service says when it does not do what was asked: a code of a closed list and one plain sentence."""

from __future__ import annotations

import json
from typing import Any

STATUS = {
    "bad_json": 422,
    "unknown_field": 422,
    "missing_field": 422,
    "wrong_type": 422,
    "out_of_range": 422,
    "empty_eligible": 422,
    "unknown_action": 422,
    "early": 422,
    "conflict": 409,
    "not_authenticated": 401,
    "not_allowed": 403,
    "wrong_host": 421,
    "wrong_origin": 403,
    "not_found": 404,
    "wrong_method": 405,
    "too_slow": 408,
    "too_large": 413,
    "large_head": 431,
    "too_many_rows": 413,
    "bundle_refused": 409,
    "records_full": 503,
    "internal": 500,
}
"""Every code, and the status that goes with it."""


class RefusedError(Exception):
    """A request that is not done; `field` names what is wrong in it."""

    def __init__(self, code: str, sentence: str, field: str | None = None) -> None:
        super().__init__(sentence)
        self.code, self.field = code, field

    @property
    def status(self) -> int:
        """The HTTP status."""
        return STATUS[self.code]

    def body(self) -> bytes:
        """The answer as JSON."""
        content: dict[str, Any] = {"code": self.code, "message": str(self)}
        return json.dumps(content | ({"field": self.field} if self.field else {})).encode()

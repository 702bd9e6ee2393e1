"""Reads requests strictly: what is not exactly right is refused with the field's name, never guessed at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

from quaestor.clock import utc_now
from quaestor.export.encoding import LARGEST
from quaestor.export.service.refusal import RefusedError
from quaestor.export.strict_json import StrictJsonError, strict_json
from quaestor.study import did_you_mean

MOST_ROWS = 100
"""In one request: more would keep others waiting."""

LONGEST_TEXT = 256
_AHEAD = timedelta(hours=1)
"""How far a caller's clock may run ahead."""

_OUTCOME = ("event_id", "observed_at", "reward", "revision")


def decision_rows(body: bytes, fields: Collection[str], actions: Collection[str]) -> tuple[list[dict[str, Any]], bool]:
    """The rows of a decide request, and whether it was a list; fields are the features that may be sent."""
    content = _parsed(body)
    if isinstance(content, list):
        if not 1 <= len(content) <= MOST_ROWS:
            raise RefusedError("too_many_rows", f"A request holds 1 to {MOST_ROWS} rows, found {len(content):,}.")
        return [_decision_row(row, fields, actions) for row in content], True
    return [_decision_row(content, fields, actions)], False


def order_rows(body: bytes, shapes: Mapping[str, tuple[int, ...]]) -> tuple[list[dict[str, Any]], bool]:
    """The rows of an orders request, and whether it was a list; shapes: of the readings that a row must have."""
    content = _parsed(body)
    rows = content if isinstance(content, list) else [content]
    if not 1 <= len(rows) <= MOST_ROWS:
        raise RefusedError("too_many_rows", f"A request holds 1 to {MOST_ROWS} rows, found {len(rows):,}.")
    return [_order_row(row, shapes) for row in rows], isinstance(content, list)


def outcome_record(body: bytes, system: str) -> dict[str, Any]:
    """The record of an outcome request, in the format that ingest takes."""
    content = _object(_parsed(body))
    for name in content:
        if name not in _OUTCOME:
            raise RefusedError(
                "unknown_field", f"An outcome has no {name[:80]!r}.{did_you_mean(name[:80], _OUTCOME)}", name[:80]
            )
    event_id = _event_id(content)
    reward: Any = content.get("reward")
    if type(reward) not in (int, float):
        raise RefusedError("wrong_type", "reward must be a number from 0 to 1.", "reward")
    if not 0 <= reward <= 1:
        raise RefusedError("out_of_range", "reward must be from 0 to 1.", "reward")
    revision = content.get("revision", 0)
    if type(revision) is not int or not 0 <= revision < 1 << 31:
        raise RefusedError("wrong_type", "revision must be a whole number, 0 or more.", "revision")
    observed_at = _time(content.get("observed_at"))
    return {
        "system": system,
        "event_id": event_id,
        "revision": revision,
        "observed_at": observed_at,
        "reward": float(reward),
    }


def reload_reason(body: bytes) -> str | None:
    """The reason of an authorised rollback in a reload request; None where it asks for none."""
    content = _object(_parsed(body or b"{}"))
    for name in content:
        if name != "rollback_reason":
            raise RefusedError("unknown_field", "A reload has only 'rollback_reason'.", name[:80])
    reason = content.get("rollback_reason")
    if reason is not None and (type(reason) is not str or not 1 <= len(reason) <= 1000):
        raise RefusedError("wrong_type", "rollback_reason must be text of 1 to 1,000 characters.", "rollback_reason")
    return reason


def _parsed(body: bytes) -> Any:
    try:
        return strict_json(body, finite=False)
    except StrictJsonError as error:
        raise RefusedError("bad_json", f"The body cannot be read: {str(error)[:200]}.") from None


def _object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise RefusedError("wrong_type", "Expected a JSON object.")
    return content


def _decision_row(row: Any, fields: Collection[str], actions: Collection[str]) -> dict[str, Any]:
    for name, value in _object(row).items():
        kind = type(value)
        if name in fields:
            if value is None:
                continue
            if name[:8] == "numeric_":
                if kind is not float and kind is not int:
                    raise RefusedError("wrong_type", f"{name} must be a number or null.", name)
                if kind is float and not isfinite(value):
                    raise RefusedError("out_of_range", f"{name} must be a finite number or null.", name)
            elif kind is not str or len(value) > LONGEST_TEXT:
                raise RefusedError(
                    "wrong_type", f"{name} must be text of at most {LONGEST_TEXT} characters, or null.", name
                )
        elif name == "eligible":
            _refuse_eligible(value, actions)
        elif name != "event_id":
            known = [*fields, "event_id", "eligible"]
            raise RefusedError(
                "unknown_field", f"This policy reads no {name[:80]!r}.{did_you_mean(name[:80], known)}", name[:80]
            )
    _event_id(row)
    return row  # type: ignore[no-any-return]


def _order_row(row: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    known = ("product", "period", *shapes)
    for name in _object(row):
        if name not in known:
            raise RefusedError(
                "unknown_field", f"This policy reads no {name[:80]!r}.{did_you_mean(name[:80], known)}", name[:80]
            )
    for name in known:
        if row.get(name) is None:
            raise RefusedError("missing_field", f"{name} is missing.", name)
    _name(row["product"], "product")
    period = row["period"]
    if type(period) is not int or not 0 <= period < 1 << 31:
        raise RefusedError("wrong_type", "period must be a whole number, 0 or more.", "period")
    for name, shape in shapes.items():
        _refuse_numbers(row[name], shape, name, " × ".join(map(str, shape)))
    return row  # type: ignore[no-any-return]


def _refuse_numbers(value: Any, shape: tuple[int, ...], name: str, wanted: str) -> None:
    if shape:
        if type(value) is not list or len(value) != shape[0]:
            raise RefusedError("wrong_type", f"{name} must be a list of {wanted} numbers.", name)
        for part in value:
            _refuse_numbers(part, shape[1:], name, wanted)
    elif type(value) is not float and type(value) is not int:
        raise RefusedError("wrong_type", f"{name} must be a list of {wanted} numbers.", name)
    elif not -LARGEST <= value <= LARGEST:  # NaN is neither
        raise RefusedError("out_of_range", f"{name} must hold finite numbers of units.", name)


def _refuse_eligible(value: Any, actions: Collection[str]) -> None:
    if type(value) is not list:
        raise RefusedError("wrong_type", "eligible must be a list of actions.", "eligible")
    if not value:
        raise RefusedError("empty_eligible", "The eligible set is empty; there is nothing to decide.", "eligible")
    for name in value:
        if type(name) is not str or name not in actions:
            near = did_you_mean(str(name)[:80], actions)
            raise RefusedError("unknown_action", f"{str(name)[:80]!r} is no action of this policy.{near}", "eligible")
    if len(set(value)) != len(value):
        raise RefusedError("wrong_type", "eligible names an action twice.", "eligible")


def _event_id(content: Mapping[str, Any]) -> str:
    event_id = content.get("event_id")
    if event_id is None:
        raise RefusedError("missing_field", "event_id is missing.", "event_id")
    return _name(event_id, "event_id")


def _name(value: Any, field: str) -> str:
    if type(value) is not str or not 1 <= len(value) <= LONGEST_TEXT or not value.isprintable():
        raise RefusedError("wrong_type", f"{field} must be text of 1 to {LONGEST_TEXT} printable characters.", field)
    return value


def _time(value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(value) if type(value) is str and value.isascii() else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise RefusedError(
            "wrong_type", "observed_at must be a time with a zone, such as 2026-01-31T09:30:00Z.", "observed_at"
        )
    if not datetime(2000, 1, 1, tzinfo=UTC) <= time <= utc_now().replace(tzinfo=UTC) + _AHEAD:
        raise RefusedError("out_of_range", "observed_at must be neither before 2000 nor in the future.", "observed_at")
    return time.astimezone(UTC)

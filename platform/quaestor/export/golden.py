"""Golden choices: inputs whose decisions a bundle must repeat before it counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from quaestor.errors import QuaestorError
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.policy import Policy
from quaestor.export.single import SingleDecisions
from quaestor.export.strict_json import StrictJsonError, strict_json

if TYPE_CHECKING:
    import polars as pl

TOLERANCE = 1e-6


def golden_choices(policy: Policy, rows: pl.DataFrame, iteration_id: str) -> bytes:
    """The rows and what the policy decides for them, as JSON."""
    from quaestor.export.decide import decide

    decided = decide(policy, rows, iteration_id)
    return json.dumps({"rows": _plain(rows), "decided": _plain(decided)}, ensure_ascii=False).encode()


def replay(policy: Policy, golden: bytes, iteration_id: str, where: str) -> int:
    """Decides the golden rows again, together and one by one, and returns how many choices agreed.

    Raises QuaestorError at the first difference: another action or set, or a number further than 1e-6 (relative
    above 1).
    """
    import polars as pl

    from quaestor.export.decide import decide

    try:
        content = strict_json(golden)
        rows, choices = content["rows"], content["decided"]
        frame = pl.DataFrame(rows, infer_schema_length=None)
    except (StrictJsonError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise QuaestorError(f"{where}: the golden choices cannot be read: {error}.") from None
    _compare(choices, _plain(decide(policy, frame, iteration_id)), where)
    if isinstance(policy, PaymentsPolicy):
        single = SingleDecisions(policy, iteration_id)
        one_by_one = [single.decide(row)[0] for row in rows]
        _compare(choices, [record | {"decided_at": _text(record["decided_at"])} for record in one_by_one], where)
    return len(choices)


def _compare(choices: Any, again: list[dict[str, Any]], where: str) -> None:
    if not isinstance(choices, list) or len(again) != len(choices):
        raise QuaestorError(f"{where}: expected {len(choices)} golden choices, got {len(again)}.")
    for number, (expected, found) in enumerate(zip(choices, again, strict=True)):
        for name, value in expected.items():
            if not _agree(value, found.get(name)):
                raise QuaestorError(
                    f"{where}: golden choice {number} differs in {name}: expected {value}, got {found.get(name)}. "
                    "The graph is not the one that was certified, or this runtime computes otherwise."
                )


def _plain(frame: pl.DataFrame) -> list[dict[str, Any]]:
    import polars as pl

    times = [pl.col(name).dt.strftime(_TIME) for name, t in frame.schema.items() if t == pl.Datetime]
    return frame.with_columns(times).to_dicts()


def _text(time: Any) -> str:
    return str(time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


_TIME = "%Y-%m-%dT%H:%M:%S%.6fZ"


def _agree(expected: object, found: object) -> bool:
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(_agree, expected, found))
    if isinstance(expected, float) and isinstance(found, int | float):
        return abs(expected - found) <= TOLERANCE * max(1.0, abs(expected))
    return expected == found

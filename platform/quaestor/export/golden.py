"""Golden choices: inputs whose decisions a bundle must repeat before it counts."""

from __future__ import annotations

import json

import polars as pl

from quaestor.errors import QuaestorError
from quaestor.export.decide import decide
from quaestor.export.policy import Policy

TOLERANCE = 1e-6


def golden_choices(policy: Policy, rows: pl.DataFrame, iteration_id: str) -> bytes:
    """The rows and what the policy decides for them, as JSON."""
    decided = decide(policy, rows, iteration_id)
    return json.dumps({"rows": _plain(rows), "decided": _plain(decided)}, ensure_ascii=False).encode()


def replay(policy: Policy, golden: bytes, iteration_id: str, where: str) -> int:
    """Decides the golden rows again and returns how many choices agreed; raises QuaestorError at the first
    difference: another action or set, or a number further than 1e-6 (relative above 1)."""
    content = json.loads(golden)
    rows = pl.DataFrame(content["rows"], infer_schema_length=None)
    again = json.loads(json.dumps(_plain(decide(policy, rows, iteration_id))))
    if len(again) != len(content["decided"]):
        raise QuaestorError(f"{where}: expected {len(content['decided'])} golden choices, got {len(again)}.")
    for number, (expected, found) in enumerate(zip(content["decided"], again, strict=True)):
        for name, value in expected.items():
            if not _agree(value, found.get(name)):
                raise QuaestorError(
                    f"{where}: golden choice {number} differs in {name}: expected {value}, got {found.get(name)}. "
                    "The graph is not the one that was certified, or this runtime computes otherwise."
                )
    return len(again)


def _plain(frame: pl.DataFrame) -> list[dict[str, object]]:
    times = [pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ") for name, t in frame.schema.items() if t == pl.Datetime]
    return frame.with_columns(times).to_dicts()


def _agree(expected: object, found: object) -> bool:
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(_agree, expected, found))
    if isinstance(expected, float) and isinstance(found, int | float):
        return abs(expected - found) <= TOLERANCE * max(1.0, abs(expected))
    return expected == found

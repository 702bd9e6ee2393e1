"""Decision logs of Vowpal Wabbit's decision service and of Personalizer: one JSON object a line (dsjson).

https://vowpalwabbit.org/docs/vowpal_wabbit/python/latest/reference/dsjson.html describes the fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from quaestor.errors import QuaestorError

LINES = 50_000
"""Lines that are read at a time."""
_FRACTION = re.compile(r"(\.\d{6})\d+")
_REFUSED = {"row_number": pl.Int64, "code": pl.String, "reason": pl.String, "content": pl.String}


@dataclass(frozen=True)
class Events:
    """What some lines say: decisions and outcomes as ingest takes them, and lines that are neither, with row_number,
    code, reason and content."""

    decisions: pl.DataFrame
    outcomes: pl.DataFrame
    refused: pl.DataFrame


def read_decision_service(path: Path, system: str | None) -> Iterator[Events]:
    """Reads a log part by part; memory does not grow with the file.

    An action is named by its `_tag`, else by an `id` among its features, else by its place. The reward is minus
    `_label_cost`; a decision without outcomes (`o`) gets none here, and the study's default once its window closes.
    A line that only observes (dangling) becomes an outcome, which waits for its decision. Decisions that were never
    activated (`_skipLearn`) and lines that cannot be read are refused, each with its reason.
    """
    try:
        with path.open(encoding="utf-8") as file:
            start = 0
            while lines := list(islice(file, LINES)):
                yield _events(lines, start, system or path.stem)
                start += len(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise QuaestorError(f"{path.name} cannot be read as lines of JSON: {error}.") from None


def action_features(path: Path) -> dict[str, tuple[str, ...]]:
    """What the log says of each action whenever it is offered, as words name=value: for `refit.actions.features` of a
    study. Lines that cannot be read are passed over, as ingest refuses them."""
    words: dict[str, set[str]] = {}
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                for name, own in _said_of_actions(line):
                    words[name] = words[name] & own if name in words else own
    except (OSError, UnicodeDecodeError) as error:
        raise QuaestorError(f"{path.name} cannot be read as lines of JSON: {error}.") from None
    if not words:
        raise QuaestorError(f"{path.name} has no line with actions (`c._multi`); expected a log in dsjson.")
    return {name: tuple(sorted(found)) for name, found in sorted(words.items())}


def _said_of_actions(line: str) -> list[tuple[str, set[str]]]:
    try:
        return [
            (_name(action, number), {f"{n}={value}" for n, value in _features(action).items() if n != "i.id"})
            for number, action in enumerate(_context(json.loads(line)).get("_multi", ()), 1)
        ]
    except (_RefusedError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return []


@dataclass
class _Rows:
    decisions: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)


def _events(lines: list[str], start: int, system: str) -> Events:
    rows = _Rows()
    for number, line in enumerate(lines, start):
        if not line.strip():
            continue
        try:
            _read(json.loads(line), system, rows)
        except _RefusedError as error:
            rows.refused.append({"row_number": number, "code": error.code, "reason": str(error), "content": line})
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            reason = f"the line is not a decision of the service ({type(error).__name__}: {error})."
            content = json.dumps({"line": line})
            rows.refused.append({"row_number": number, "code": "unreadable", "reason": reason, "content": content})
    return Events(
        pl.DataFrame(rows.decisions, infer_schema_length=None),
        pl.DataFrame(rows.outcomes, infer_schema_length=None),
        pl.DataFrame(rows.refused, schema=_REFUSED),
    )


class _RefusedError(Exception):
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def _read(event: Mapping[str, Any], system: str, rows: _Rows) -> None:
    if "c" not in event and "a" not in event:
        rows.outcomes.append(_observation(event, event, system))
        return
    if event.get("_skipLearn"):
        raise _RefusedError("not_activated", "the decision was never activated (_skipLearn), so that it cannot teach.")
    context = _context(event)
    if "_multi" not in context:
        raise _RefusedError("no_actions", "only decisions among several actions (_multi) are read.")
    names = [_name(action, number) for number, action in enumerate(context["_multi"], 1)]
    chance = dict(zip((names[place - 1] for place in event["a"]), event["p"], strict=True))
    event_id, decided_at = event["EventId"], _time(event["Timestamp"])
    features = _features({name: part for name, part in context.items() if name != "_multi"})
    taken = names[event["a"][0] - 1]
    rows.decisions.append(
        {
            "system": system,
            "event_id": event_id,
            "decided_at": decided_at,
            "iteration_id": event.get("VWState", {}).get("m"),
            "eligible": [name for name in names if name in chance],
            "propensities": [float(chance[name]) for name in names if name in chance],
            "action": taken,
            "propensity": float(chance[taken]),
            **{
                f"numeric_{name}" if isinstance(value, float) else f"category_{name}": value
                for name, value in features.items()
            },
        }
    )
    observed = event.get("o") or ()
    if observed or event.get("_label_cost"):
        last = observed[-1] if observed else {}
        reward = -float(event["_label_cost"]) if "_label_cost" in event else last["v"]
        rows.outcomes.append(
            {
                "system": system,
                "event_id": event_id,
                "observed_at": _time(last["EnqueuedTimeUtc"]) if "EnqueuedTimeUtc" in last else decided_at,
                "reward": abs(reward) if reward == 0 else reward,
            }
        )


def _observation(event: Mapping[str, Any], where: Mapping[str, Any], system: str) -> dict[str, Any]:
    reward = event.get("RewardValue", event.get("v"))
    moment = where.get("EnqueuedTimeUtc", where.get("Timestamp"))
    if reward is None or moment is None:
        raise _RefusedError("unreadable", "the line has neither a decision (c, a, p) nor a reward with its time.")
    return {
        "system": system,
        "event_id": event["EventId"],
        "observed_at": _time(moment),
        "reward": float(reward),
    }


def _context(event: Mapping[str, Any]) -> Mapping[str, Any]:
    context = event.get("c", {})
    return context if isinstance(context, Mapping) else {}


def _name(action: Mapping[str, Any], number: int) -> str:
    if "_tag" in action:
        return str(action["_tag"])
    return next((str(value) for name, value in _features(action).items() if name.split(".")[-1] == "id"), str(number))


def _features(part: Any, prefix: str = "") -> dict[str, float | str]:
    """Features by dotted name; names that begin with _ are none."""
    if isinstance(part, Mapping):
        found: dict[str, float | str] = {}
        for name, value in part.items():
            if not name.startswith("_"):
                found |= _features(value, f"{prefix}.{name}" if prefix else name)
        return found
    if isinstance(part, list):
        if all(isinstance(entry, Mapping) for entry in part):
            return {name: value for entry in part for name, value in _features(entry, prefix).items()}
        return {f"{prefix}.{place}": v for place, entry in enumerate(part) for v in _features(entry, "x").values()}
    if part is None:
        return {}
    if isinstance(part, bool | str):
        return {prefix: str(part)}
    return {prefix: float(part)}


def _time(text: str) -> str:
    """A time of the service with at most six decimals; without a zone it is UTC, as the service wrote it."""
    short = _FRACTION.sub(r"\1", text)
    return short if short.endswith("Z") or re.search(r"[+-]\d{2}:?\d{2}$", short) else f"{short}Z"

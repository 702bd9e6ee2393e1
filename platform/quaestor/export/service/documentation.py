"""The parts of the OpenAPI document that depend on the bundle: what a decision takes and gives."""

from __future__ import annotations

from typing import Any

from quaestor.export.bundle import Bundle
from quaestor.export.service.parsing import LONGEST_TEXT, MOST_ROWS

_NAME = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}


def decide_documentation(bundle: Bundle) -> dict[str, Any]:
    """The request and the answer of a decision, from the manifest's input schema."""
    inputs = bundle.manifest["inputs"]
    actions = {"type": "string", "enum": inputs["actions"]}
    numbers = {
        name: {
            "type": ["number", "null"],
            "description": f"unit: {part['unit']}; from {part['lowest']} to {part['highest']}, outside: fallback; "
            f"missing: {part['missing']}",
        }
        for name, part in inputs["numeric"].items()
    }
    texts = {
        name: {
            "type": ["string", "null"],
            "maxLength": LONGEST_TEXT,
            "description": f"unseen: {part['unseen_or_missing']}",
        }
        for name, part in inputs["category"].items()
    }
    eligible = {"type": "array", "items": actions, "minItems": 1, "uniqueItems": True}
    row = {
        "type": "object",
        "required": ["event_id"],
        "additionalProperties": False,
        "properties": {"event_id": _NAME, "eligible": eligible, **numbers, **texts},
    }
    decided = {
        "type": "object",
        "properties": {
            "event_id": _NAME,
            "decided_at": {"type": "string", "format": "date-time"},
            "iteration_id": {"type": "string"},
            "eligible": eligible,
            "propensities": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}},
            "action": actions,
            "propensity": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "fallback": {"type": "boolean"},
        },
    }
    return {
        "requestBody": {"required": True, "content": _json({"oneOf": [row, _list(row)]})},
        "responses": {"200": {"description": "Decided", "content": _json({"oneOf": [decided, _list(decided)]})}},
    }


def outcome_documentation() -> dict[str, Any]:
    """The request of an outcome."""
    body = {
        "type": "object",
        "required": ["event_id", "observed_at", "reward"],
        "additionalProperties": False,
        "properties": {
            "event_id": _NAME,
            "observed_at": {"type": "string", "format": "date-time", "description": "with a zone"},
            "reward": {"type": "number", "minimum": 0, "maximum": 1},
            "revision": {"type": "integer", "minimum": 0, "default": 0},
        },
    }
    return {"requestBody": {"required": True, "content": _json(body)}}


def orders_documentation(bundle: Bundle) -> dict[str, Any]:
    """The request and the answer of orders, from the manifest's input schema."""
    inputs = bundle.manifest["inputs"]
    readings = {
        name: {**_nested(part["shape"]), "description": f"{part['what']}; unit: {part['unit']}"}
        for name, part in inputs["tensors"].items()
    }
    of = {"product": _NAME, "period": {"type": "integer", "minimum": 0}}
    row = {
        "type": "object",
        "required": [*of, *readings],
        "additionalProperties": False,
        "properties": {**of, **readings},
    }
    order = {
        "type": "object",
        "properties": {
            "source": {"type": "string", "enum": sorted({source for source, _ in inputs["edges"]})},
            "target": {"type": "string", "enum": sorted({target for _, target in inputs["edges"]})},
            "units": {"type": "number", "minimum": 0},
        },
    }
    decided = {
        "type": "object",
        "properties": {
            **of,
            "decided_at": {"type": "string", "format": "date-time"},
            "iteration_id": {"type": "string"},
            "orders": {"type": "array", "items": order, "description": inputs["orders"]},
        },
    }
    return {
        "requestBody": {"required": True, "content": _json({"oneOf": [row, _list(row)]})},
        "responses": {"200": {"description": "Ordered", "content": _json({"oneOf": [decided, _list(decided)]})}},
    }


def _nested(shape: list[int]) -> dict[str, Any]:
    """An array of numbers of this shape."""
    if not shape:
        return {"type": "number"}
    return {"type": "array", "items": _nested(shape[1:]), "minItems": shape[0], "maxItems": shape[0]}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _list(item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1, "maxItems": MOST_ROWS}

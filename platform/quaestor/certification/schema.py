"""The JSON schema of a certificate, for those who read one without Quaestor."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from quaestor.certification.certificate import Certificate


def certificate_schema() -> dict[str, Any]:
    """The schema (JSON Schema, draft 2020-12) of what `Certificate.as_json` gives; nothing else may be in it."""
    schema = TypeAdapter(Certificate).json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        if part.get("type") == "object":
            part["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Quaestor certificate", **schema}

"""Reads prefect.yaml, the only source of what runs when, and refuses what cannot be right before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from quaestor.errors import UsageError
from quaestor.study import did_you_mean


def read(file: Path) -> list[dict[str, Any]]:
    """The deployments of a prefect.yaml. Raises UsageError where there is none."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"No deployments at {file}; a checkout has them in prefect.yaml.") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{file} is not valid YAML: {error}.") from None
    found = content.get("deployments") if isinstance(content, dict) else None
    if not found:
        raise UsageError(f"{file} names no deployments.")
    return list(found)


def schedules(file: Path) -> Iterator[tuple[str, str]]:
    """Each deployment with each of its cron expressions."""
    for each in read(file):
        for schedule in each.get("schedules", ()):
            yield _named(each), str(schedule["cron"])


def check(file: Path) -> None:
    """Raises UsageError for a flow that is not there, a parameter that it does not take or refuses, a study that
    cannot be read, or a schedule that is no cron expression."""
    from prefect.flows import Flow
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.importtools import import_object
    from prefect.utilities.schema_tools.validation import ValidationError, validate

    for each in read(file):
        name, entrypoint = _named(each), str(each.get("entrypoint", ""))
        try:
            flow = import_object(entrypoint)
        except (ImportError, AttributeError, ValueError):
            flow = None
        if not isinstance(flow, Flow):
            raise UsageError(f"{name}: {entrypoint!r} is no flow; expected such as flows.ingest.run_ingest_inbox.")
        schema = parameter_schema(flow).model_dump_for_openapi()
        parameters = each.get("parameters") or {}
        for key in parameters:
            if key not in schema["properties"]:
                raise UsageError(f"{name}: the flow takes no {key!r}.{did_you_mean(key, schema['properties'])}")
        try:
            validate(parameters, schema, raise_on_error=True)
        except ValidationError as error:
            raise UsageError(f"{name}: {error}.") from None
        _read_files(parameters)
    for name, cron in schedules(file):
        _refuse_bad_cron(name, cron)


def _read_files(parameters: dict[str, Any]) -> None:
    """Reads every file that a parameter names, so that a slip in it is said now and not at three in the morning."""

    from flows.studies import read_study
    from quaestor.alerts.limits import read_alerts
    from quaestor.retention.windows import read_windows

    readers = {"study": read_study, "alerts": read_alerts, "windows": read_windows}
    for key, value in parameters.items():
        if key in readers:
            readers[key](Path(value))


def _refuse_bad_cron(name: str, cron: str) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    try:
        CronSchedule(cron=cron, timezone="UTC")
    except ValueError:
        raise UsageError(f"{name}: {cron!r} is not a cron expression such as '0 3 * * *'.") from None


def _named(deployment: dict[str, Any]) -> str:
    return f"{str(deployment.get('entrypoint')).rpartition('.')[2]}/{deployment.get('name')}"

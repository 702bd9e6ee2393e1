"""How results are printed: as a table for people, as JSON for programs; both from the same values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from quaestor.registry.report import IterationReport

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


def print_json(value: Any) -> None:
    """Prints a value as JSON; times become ISO text."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table with wrapped cells."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_lines=True, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(table) if console.is_terminal else Console(width=180).print(table)


def report_row(report: IterationReport) -> list[str]:
    """The cells that say what one chooses by: who, against whom, gain, certified bounds, verdict, bundle."""
    return [
        report.system,
        (report.incumbent_id or "none")[:12],
        f"{report.iteration_id[:12]}\n{report.policy}",
        gain_text(report),
        bounds_text(report),
        f"{report.stage}\n" + "\n".join(report.reasons),
        report.bundle or "not exported",
    ]


REPORT_COLUMNS = (
    "system",
    "incumbent",
    "candidate",
    "gain (95 % interval)",
    "certified bound at budget",
    "stage and reasons",
    "bundle",
)


def gain_text(report: IterationReport) -> str:
    """The paired difference in favour of the candidate with its interval."""
    if report.evaluation is None:
        return "not evaluated"
    value, lower, upper = report.evaluation.gain
    return f"{value:+.4g} ({lower:+.4g} to {upper:+.4g})\n{report.evaluation.unit}"


def bounds_text(report: IterationReport) -> str:
    """The certified bound at each budget."""
    certificate = report.certificate
    if certificate is None:
        return "not certified"
    pairs = zip(certificate.params.budgets, certificate.bounds, strict=True)
    sign = "≤" if certificate.subject.quantity == "cost" else "≥"
    lines = [f"{budget:g}: {certificate.subject.quantity} {sign} {bound:.4g}" for budget, bound in pairs]
    return "\n".join([*lines, f"nominal {certificate.nominal:.4g}"])


def report_json(report: IterationReport) -> dict[str, Any]:
    """A report as plain values, with its sentence."""
    return {**asdict(report), "sentence": report.sentence()}

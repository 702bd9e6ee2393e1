"""Commands that use a bundle or a logged decision: verify, decide, explain."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from quaestor.cli.output import Json, print_json, print_table
from quaestor.clock import utc_now

Folder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle's folder.")]


def verify(bundle: Folder, as_json: Json = False) -> None:
    """Check a bundle: digests, golden choices, and its certificate's arithmetic."""
    from quaestor.export.verification import verify_bundle

    verified = verify_bundle(bundle, utc_now())
    certificate = verified.certificate
    bounds = dict(zip(map(str, certificate.params.budgets), certificate.bounds, strict=True))
    if as_json:
        facts = {"iteration_id": verified.bundle.iteration_id, "digest": verified.bundle.digest}
        print_json({**facts, "golden_choices": verified.golden, "bounds": bounds, "nominal": certificate.nominal})
        return
    typer.echo(
        f"{bundle}: whole; {verified.golden} golden choices repeated; the certificate follows from its episodes."
    )
    nominal = f"{certificate.subject.quantity} {certificate.nominal:.4g} nominal"
    typer.echo(f"iteration {verified.bundle.iteration_id[:12]}, {nominal}")
    for budget, bound in bounds.items():
        typer.echo(f"  budget {budget}: {bound:.6g}")


def decide(
    bundle: Folder,
    rows: Annotated[Path, typer.Option("--input", help="A parquet, CSV or JSON file of rows to decide.")],
    out: Annotated[Path | None, typer.Option("--output", help="Where to write the decisions, as parquet.")] = None,
    as_json: Json = False,
) -> None:
    """Decide rows with a bundle, without torch or a store; the output is what ingest takes."""
    from quaestor.export.rows import read_rows
    from quaestor.export.runtime import load

    decided = load(bundle).decide(read_rows(rows))
    if out is not None:
        from quaestor.export.rows import write_rows

        write_rows(decided, out)
    if as_json:
        print_json(decided.to_dicts())
    elif out is not None:
        typer.echo(f"{len(decided):,} decisions in {out}")
    else:
        shown = decided.head(20).select(
            name for name in decided.columns if not name.startswith(("numeric_", "category_"))
        )
        table = [[str(value) for value in row] for row in shown.iter_rows()]
        print_table(f"{len(decided):,} decisions, the first {len(shown)}", shown.columns, table)


def explain(
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID")],
    system: Annotated[str | None, typer.Option("--system", help="The system, where ids repeat.")] = None,
    as_json: Json = False,
) -> None:
    """Reproduce a logged decision from its event id and say what it was made of."""
    from quaestor.export.explanation import explain_decision
    from quaestor.settings import Settings

    settings = Settings()
    explanation = explain_decision(settings.store, settings.data, event_id, system)
    if as_json:
        print_json(asdict(explanation))
        return
    typer.echo(explanation.sentence())
    columns = (
        "action",
        "eligible",
        "predicted reward",
        "probability, as logged",
        "probability, derived again",
    )
    table = [[str(cell) for cell in row] for row in explanation.rows()]
    print_table(f"Decision {event_id}", columns, table)
    typer.echo("Features as used: " + ", ".join(f"{name} = {value}" for name, value in explanation.features.items()))

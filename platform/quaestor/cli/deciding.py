"""Commands that use a bundle or a logged decision: verify, decide, serve, explain."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quaestor.cli.certificate_commands import Deployed, Rung, StudyOfBundle, climb
from quaestor.cli.output import Json, print_json, print_table
from quaestor.clock import utc_now

if TYPE_CHECKING:
    from quaestor.export.signature import Keys

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle: its folder or its archive.")]
Key = Annotated[
    list[Path] | None,
    typer.Option("--key", help="Trusted public keys in PEM; one of them must have signed. Default: QUAESTOR_KEYS."),
]
Revoked = Annotated[list[Path] | None, typer.Option("--revoked", help="Public keys in PEM that count no longer.")]


def verify(
    bundle: BundlePath,
    key: Key = None,
    revoked: Revoked = None,
    rung: Rung = None,
    study: StudyOfBundle = None,
    records: Deployed = None,
    as_json: Json = False,
) -> None:
    """Check a bundle: signature, digests, golden choices, its certificate's arithmetic, and more from rung 3 on."""
    try:
        from quaestor.export.verification import verify_bundle
    except ModuleNotFoundError:  # a serving machine has no scipy
        _verify_without_arithmetic(bundle, _keys(key, revoked), as_json)
        return
    if rung is not None:
        climb(bundle, _keys(key, revoked), rung, study, records, as_json)
        return
    verified = verify_bundle(bundle, utc_now(), _keys(key, revoked))
    certificate, opened = verified.certificate, verified.bundle
    bounds = dict(zip(map(str, certificate.params.budgets), certificate.bounds, strict=True))
    if as_json:
        facts = {"iteration_id": opened.iteration_id, "serial": opened.serial, "digest": opened.digest}
        trust = {"signed": opened.signed, "signed_by": opened.signed_by}
        print_json(
            {**facts, **trust, "golden_choices": verified.golden, "bounds": bounds, "nominal": certificate.nominal}
        )
        return
    typer.echo(
        f"{bundle}: whole; {verified.golden} golden choices repeated; the certificate follows from its episodes."
    )
    typer.echo(opened.trust())
    nominal = f"{certificate.subject.quantity} {certificate.nominal:.4g} nominal"
    typer.echo(f"iteration {opened.iteration_id[:12]}, number {opened.serial} of {opened.system}, {nominal}")
    for budget, bound in bounds.items():
        typer.echo(f"  budget {budget}: {bound:.6g}")


def decide(
    bundle: BundlePath,
    rows: Annotated[Path, typer.Option("--input", help="A parquet, CSV or JSON file of rows to decide.")],
    out: Annotated[
        Path | None, typer.Option("--output", help="Where to write the decisions: a .parquet file, or a folder.")
    ] = None,
    key: Key = None,
    revoked: Revoked = None,
    as_json: Json = False,
) -> None:
    """Decide rows with a bundle, without torch or a store; the output is what ingest takes."""
    from quaestor.export.rows import read_rows, written_rows
    from quaestor.export.runtime import load

    runtime = load(bundle, _keys(key, revoked))
    decided = runtime.decide(read_rows(rows))
    path = None if out is None else written_rows(decided, out, f"{rows.stem}-{runtime.bundle.iteration_id[:12]}")
    if as_json:
        print_json(decided.to_dicts())
    elif path is not None:
        typer.echo(f"{len(decided):,} decisions in {path}")
    else:
        shown = decided.head(20).select(
            name for name in decided.columns if not name.startswith(("numeric_", "category_"))
        )
        table = [[str(value) for value in row] for row in shown.iter_rows()]
        print_table(f"{len(decided):,} decisions, the first {len(shown)}", shown.columns, table)


def serve(
    bundle: BundlePath,
    records: Annotated[
        Path, typer.Option("--records", help="The folder that decisions and outcomes are written to.")
    ] = Path("records"),
    host: Annotated[str, typer.Option("--host", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="The port to listen on; 0 takes a free one.")] = 8080,
    key: Key = None,
    revoked: Revoked = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Serve a bundle of unknown origin.")] = False,
    tokens: Annotated[
        Path | None,
        typer.Option("--tokens", help="A file of lines ROLE TOKEN [EXPIRES]; QUAESTOR_TOKENS names it, too."),
    ] = None,
    upstream: Annotated[
        bool, typer.Option("--upstream-auth", help="Something in front authenticates callers (mTLS, a gateway).")
    ] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="A further name that callers use for this service.")
    ] = None,
    also_log: Annotated[
        list[str] | None, typer.Option("--also-log", help="A feature to record although the policy does not read it.")
    ] = None,
    flush_seconds: Annotated[
        float, typer.Option("--flush-seconds", min=0.01, max=60, help="How much a crash may lose.")
    ] = 0.5,
) -> None:
    """Serve decisions or orders over HTTP; another bundle at the same path takes over without a dropped request."""
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # files of records are sealed beside the requests, not before them
    from quaestor.export.service.server import ServeParams, serve

    serve(
        ServeParams(
            bundle, records, host, port, tokens, upstream, unsigned,
            tuple(allow_host or ()), tuple(also_log or ()), flush_seconds,
        ),
        _keys(key, revoked),
    )  # fmt: skip


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
    typer.echo(explanation.driven())
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


def _verify_without_arithmetic(path: Path, keys: Keys | None, as_json: bool) -> None:
    from quaestor.export.bundle import open_bundle

    opened = open_bundle(path, keys)
    facts = {"iteration_id": opened.iteration_id, "serial": opened.serial, "digest": opened.digest}
    if as_json:
        print_json({**facts, "signed": opened.signed, "signed_by": opened.signed_by, "arithmetic": "not checked"})
        return
    typer.echo(f"{path}: whole; the golden choices repeated. {opened.trust()}")
    typer.echo("The certificate's arithmetic was not checked: that takes pip install 'quaestor[store]'.")


def _keys(trusted: list[Path] | None, revoked: list[Path] | None) -> Keys | None:
    from quaestor.export.signature import find_keys

    return find_keys(trusted or (), revoked or ())

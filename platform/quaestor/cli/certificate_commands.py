"""Commands about certificates: certifying an iteration, and climbing the ladder of verification.

Commands import what they need when they run, so that none pays for another's libraries.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quaestor.cli.output import Json, print_json
from quaestor.errors import UsageError

if TYPE_CHECKING:
    from quaestor.export.signature import Keys

Rung = Annotated[
    int | None,
    typer.Option(
        "--rung", min=1, max=6,
        help="How far up, with a finding for each: 1 hashes and signature, 2 the bounds again, 3 the same seeds, "
        "4 fresh seeds, 5 an attack, 6 the noise logged in deployment. Left out: 1 and 2, in short.",
    ),
]  # fmt: skip
Deployed = Annotated[
    Path | None, typer.Option("--records", help="The folder of records that a deployment wrote; for rung 6.")
]
StudyOfBundle = Annotated[
    Path | None, typer.Option("--study", help="The bundle's study, from rung 3 on; its data must be in the store.")
]
Iteration = Annotated[str, typer.Argument(metavar="ITERATION", help="The start of its id.")]


def certify(
    iteration: Iteration,
    study: Annotated[Path, typer.Option("--study", help="The iteration's study; its parameters are declared first.")],
    report: Annotated[Path | None, typer.Option("--report", help="Write a one-page report here, as HTML.")] = None,
    as_json: Json = False,
) -> None:
    """Certify an iteration by its study's parameters: declare, play, attack, bound."""
    from quaestor.certification.report import page
    from quaestor.cli.flow_commands import flow
    from quaestor.registry import iteration as registry
    from quaestor.registry.certificates import newest_certificate
    from quaestor.settings import Settings

    if not study.exists():
        raise UsageError(f"No study at {study}. Studies ship in data/studies.")
    settings = Settings()
    full = registry.get(settings.store, settings.data, iteration).iteration_id
    flow("certify")(study.resolve(), full)
    certificate = newest_certificate(settings.store, full)
    assert certificate is not None
    if report is not None:
        report.write_text(page(certificate, full), encoding="utf-8")
    if as_json:
        print_json(certificate.as_json())
        return
    typer.echo(
        f"{full[:12]}: {certificate.subject.quantity} {certificate.nominal:.6g} nominal, attempt {certificate.attempt}"
    )
    for budget, bound, attacked in zip(
        certificate.params.budgets, certificate.bounds, certificate.attacked, strict=True
    ):
        typer.echo(f"  budget {budget:g}: {bound:.6g}; strongest attack tried {attacked:.6g}")


def climb(bundle: Path, keys: Keys | None, rung: int, study: Path | None, records: Path | None, as_json: bool) -> None:
    """Climbs the rungs one by one and prints each finding; raises QuaestorError at the first that does not hold."""
    from quaestor.certification.ladder import Finding
    from quaestor.cli.flow_commands import flow
    from quaestor.clock import utc_now
    from quaestor.errors import QuaestorError
    from quaestor.export.bundle import open_bundle
    from quaestor.export.noise_audit import audit_noise
    from quaestor.export.verification import verify_opened

    if rung > 2 and study is None:
        raise UsageError("From rung 3 on episodes are played again: give the bundle's study with --study.")
    if rung > 5 and records is None:
        raise UsageError("Rung 6 looks at the noise of a deployment: give its folder of records with --records.")
    findings = []
    try:
        opened = open_bundle(bundle, keys)
        findings.append(Finding(1, True, f"Every digest and golden choice holds. {opened.trust()}"))
        if rung >= 2:
            verify_opened(opened, bundle, utc_now())
            findings.append(Finding(2, True, "The bounds follow from the stored episode values, to 1e-9."))
    except UsageError:
        raise
    except QuaestorError as error:
        findings.append(Finding(len(findings) + 1, False, str(error).removeprefix(f"{bundle}: ")))
    if study is not None and rung > 2 and findings[-1].holds:
        findings += flow("verify")(study.resolve(), bundle.resolve(), rung)
    if records is not None and rung > 5 and findings[-1].holds:
        findings.append(audit_noise(opened, records))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            typer.echo(f"rung {finding.rung}: {'holds' if finding.holds else 'FAILS'}. {finding.sentence}")
    if not findings[-1].holds:
        raise QuaestorError(f"{bundle} fails at rung {findings[-1].rung}: {findings[-1].sentence}")

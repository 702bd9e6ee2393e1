"""Commands about certificates: a bound from a file of costs, and certifying an iteration.

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
    import numpy as np
    from numpy.typing import NDArray

    from quaestor.export.signature import Keys

Costs = Annotated[
    Path, typer.Argument(metavar="COSTS.csv", help="A CSV file with a column `cost`, one row an episode.")
]


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


def certificate_bound(
    costs: Costs,
    cap: Annotated[float, typer.Option("--cap", help="Costs count as lying in [0, cap].")],
    sigma: Annotated[float, typer.Option("--sigma", help="The noise scale of the smoothed policy.")],
    budget: Annotated[float, typer.Option("--budget", help="The total ℓ2 size of an attack, in the unit of sigma.")],
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="plug-in, dkw, clopper-pearson, berk-jones, tangent-betting; or divergence, which covers attacks on "
            "actions, too, of Kullback–Leibler divergence (budget/sigma)²/2.",
        ),
    ] = "tangent-betting",
    alpha: Annotated[float, typer.Option("--alpha", help="How often the bound may fail.")] = 0.05,
    as_json: Json = False,
) -> None:
    """Bound the mean cost under attack from the costs of smoothed episodes; the bound is the last number printed."""
    import numpy as np

    from quaestor.certification.beyond_l2 import divergence_bounds
    from quaestor.certification.bounds import BOUNDS
    from quaestor.certification.plug_in import plug_in
    from quaestor.study import refuse_unknown

    methods = {"plug-in": plug_in, **BOUNDS, "divergence": divergence_bounds}
    refuse_unknown("bound", method, methods)
    if not (0 < cap < float("inf") and 0 < sigma < float("inf") and 0 <= budget < float("inf") and 0 < alpha <= 0.5):
        raise UsageError("cap and sigma must be above 0, budget 0 or more, all finite, and alpha in (0, 0.5].")
    values = _read_costs(costs)
    bound = float(methods[method](values, cap, np.array([budget / sigma]), alpha)[0])
    beyond = int((values > cap).sum())
    if as_json:
        print_json({"method": method, "episodes": len(values), "beyond_cap": beyond, "alpha": alpha, "bound": bound})
        return
    if beyond or values.min() < 0:
        typer.echo(f"{beyond:,} costs above the cap count as {cap:g}, costs below 0 as 0.", err=True)
    kind = "an estimate, no certificate" if method == "plug-in" else f"fails in at most {alpha:g} of all samples"
    typer.echo(f"{method} on {len(values):,} episodes, cap {cap:g}, budget {budget:g}, sigma {sigma:g}; {kind}:")
    typer.echo(f"{bound:.10f}")


def _read_costs(path: Path) -> NDArray[np.float64]:
    import numpy as np
    import polars as pl

    if not path.exists():
        raise UsageError(f"No file at {path}; give a CSV file with a column `cost`.")
    try:
        frame = pl.read_csv(path, infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}") from None
    if "cost" not in frame.columns:
        raise UsageError(f"{path} has no column `cost`; found {', '.join(frame.columns)}.")
    column = frame["cost"]
    if not column.dtype.is_numeric() or column.null_count():
        raise UsageError(f"{path}: every cost must be a number.")
    values = column.cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all() or len(values) < 2:
        raise UsageError(f"{path} holds {len(values)} episodes; a bound needs 2 or more, each of finite cost.")
    return values

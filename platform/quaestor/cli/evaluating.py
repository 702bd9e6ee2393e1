"""Commands that judge: evaluate a pair of iterations, watch a canary.

Commands import what they need when they run, so that none pays for another's libraries.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quaestor.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from quaestor.ope.interval import Interval

Gate = Annotated[
    Path | None, typer.Option("--gate", help="A TOML file with a table [gate]; by default the gate of the study.")
]


def evaluate(
    candidate: Annotated[str, typer.Option("--candidate", help="The start of the candidate's id.")],
    incumbent: Annotated[str, typer.Option("--incumbent", help="The start of the incumbent's id.")],
    estimator: Annotated[
        str, typer.Option("--estimator", help="What decides: dr, ips, snips, sndr, mrdr and others.")
    ] = "dr",
    within: Annotated[
        str | None, typer.Option("--within", help="Estimate within a category feature, or within 'actions'.")
    ] = None,
    gate: Gate = None,
    as_json: Json = False,
) -> None:
    """Compare two iterations on the same rounds and say whether the candidate may be promoted."""
    from quaestor.clock import utc_now
    from quaestor.errors import UsageError
    from quaestor.registry.evaluating import evaluate_pair
    from quaestor.registry.gate import read_gate
    from quaestor.registry.off_policy import Method
    from quaestor.settings import Settings
    from quaestor.store import files

    settings = Settings()
    params = read_gate(gate) if gate else None
    with settings.store.read() as connection:
        as_of = files.heard_until(connection, utc_now())
    try:
        judged = evaluate_pair(
            settings.store,
            settings.data,
            candidate,
            incumbent,
            params,
            settings.actor,
            as_of,
            Method(estimator, within),
        )
    except ValueError as error:  # an unknown estimator or feature, or a log that the estimator cannot use
        raise UsageError(str(error)) from None
    found = judged.evaluation
    if as_json:
        print_json({**asdict(judged), "gain": found.gain, "assumes": found.difference.assumes})
        return
    typer.echo(
        f"{judged.system}: {judged.candidate_id[:12]} against {judged.incumbent_id[:12]}: {judged.verdict.stage}"
    )
    for reason in judged.verdict.reasons:
        typer.echo(f"  {reason}")
    rows = [[found.estimator, *_cells(found.difference)]]
    rows += [[name, *_cells(interval)] for name, interval in found.others.items()]
    print_table(
        f"Candidate minus incumbent, {found.unit}, on {found.evaluated_on}",
        ("estimator", "difference", "lower", "upper"),
        rows,
    )
    for check in found.diagnostics:
        if check.status != "ok":
            typer.echo(f"{check.status}: {check.sentence}")


def canary(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="Whose live iteration to watch.")],
    share: Annotated[float, typer.Option("--share", help="Of traffic, that it decides; 1 for all of it.")] = 0.1,
    harm: Annotated[float, typer.Option("--harm", help="The loss of reward a round that is borne.")] = 0.01,
    confidence: Annotated[float, typer.Option("--confidence", help="Over all looks at once.")] = 0.95,
    as_json: Json = False,
) -> None:
    """Compare the live iteration with the one before it, and roll it back if it is certainly worse."""
    from quaestor.clock import utc_now
    from quaestor.errors import UsageError
    from quaestor.registry.canary import CanaryParams
    from quaestor.registry.canary_watch import watch_live
    from quaestor.settings import Settings
    from quaestor.store import files

    settings = Settings()
    try:
        params = CanaryParams(share, harm, confidence)
    except ValueError as error:
        raise UsageError(str(error)) from None
    with settings.store.read() as connection:
        as_of = files.heard_until(connection, utc_now())
    watched = watch_live(settings.store, settings.data, system, params, as_of)
    if as_json:
        print_json({**asdict(watched), "verdict": watched.verdict.as_json()})
        return
    typer.echo(f"{system}: canary {watched.candidate_id[:12]}: {watched.verdict.state}")
    for reason in watched.verdict.reasons:
        typer.echo(f"  {reason}")
    typer.echo(f"  live: {watched.live_id[:12]}")


def estimates(
    system: Annotated[str | None, typer.Option("--system", help="Only this system.")] = None, as_json: Json = False
) -> None:
    """What evaluations promised, beside what was realised once the policies decided."""
    from quaestor.registry.realised import estimates_and_outcomes
    from quaestor.settings import Settings

    with Settings().store.read() as connection:
        found = estimates_and_outcomes(connection, system)
    if as_json:
        print_json(found.to_dicts())
    elif found.is_empty():
        typer.echo("No estimate has been realised yet: promote an iteration and let it decide.")
    else:
        columns = ("system", "iteration", "role", "estimated", "realised", "rounds", "agrees")
        rows = [
            [
                row["system"],
                row["iteration_id"][:12],
                row["role"],
                f"{row['estimated']:.4g} ({row['estimated_lower']:.4g} to {row['estimated_upper']:.4g})",
                f"{row['realised']:.4g} ({row['realised_lower']:.4g} to {row['realised_upper']:.4g})",
                f"{row['rounds']:,}",
                "yes" if row["agrees"] else "no",
            ]
            for row in found.iter_rows(named=True)
        ]
        print_table(f"{found['agrees'].sum()} of {len(found)} estimates agree with what came", columns, rows)


def estimate_propensities(
    decisions: Annotated[Path, typer.Argument(metavar="IN", help="A parquet file of decisions without propensities.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where to write them with estimates, as parquet.")],
    as_json: Json = False,
) -> None:
    """Estimate the propensities of a log that lacks them; nothing that rests on them is promoted without --override."""
    from quaestor.export.rows import read_rows, written_rows
    from quaestor.ope.estimated_propensities import with_estimated_propensities

    estimated = with_estimated_propensities(read_rows(decisions))
    path = written_rows(estimated, out, "decisions")
    if as_json:
        print_json({"decisions": len(estimated), "output": str(path), "least": estimated["propensity"].min()})
        return
    typer.echo(f"{len(estimated):,} decisions in {path}, marked as of estimated propensities.")
    typer.echo(f"Now: quaestor ingest decisions {path}")


def _cells(interval: Interval) -> list[str]:
    return [f"{number:+.4g}" for number in (interval.value, interval.lower, interval.upper)]

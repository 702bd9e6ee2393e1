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
    Path | None, typer.Option("--gate", help="A TOML file with a table [gate]; the usual gate by default.")
]


def evaluate(
    candidate: Annotated[str, typer.Option("--candidate", help="The start of the candidate's id.")],
    incumbent: Annotated[str, typer.Option("--incumbent", help="The start of the incumbent's id.")],
    gate: Gate = None,
    as_json: Json = False,
) -> None:
    """Compare two iterations on the same rounds and say whether the candidate may be promoted."""
    from quaestor.clock import utc_now
    from quaestor.registry.evaluating import evaluate_pair
    from quaestor.registry.gate import GateParams, read_gate
    from quaestor.settings import Settings

    settings = Settings()
    params = read_gate(gate) if gate else GateParams()
    judged = evaluate_pair(settings.store, settings.data, candidate, incumbent, params, settings.actor, utc_now())
    found = judged.evaluation
    if as_json:
        print_json({**asdict(judged), "gain": found.gain, "assumes": found.difference.assumes, "gate": asdict(params)})
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


def _cells(interval: Interval) -> list[str]:
    return [f"{number:+.4g}" for number in (interval.value, interval.lower, interval.upper)]

"""Commands about bounds: from a file of costs to a bound on their mean or on a quantile, and the certificate's schema.

Commands import what they need when they run, so that none pays for another's libraries.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from quaestor.cli.output import Json, print_json
from quaestor.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Costs = Annotated[
    Path, typer.Argument(metavar="COSTS.csv", help="A CSV file with a column `cost`, one row an episode.")
]
Sigma = Annotated[float, typer.Option("--sigma", help="The noise scale of the smoothed policy.")]
Budget = Annotated[float, typer.Option("--budget", help="The total size of an attack, in the unit of sigma.")]
Alpha = Annotated[float, typer.Option("--alpha", help="How often the bound may fail.")]


def certificate_bound(
    costs: Costs,
    cap: Annotated[float, typer.Option("--cap", help="Costs count as lying in [0, cap].")],
    sigma: Sigma,
    budget: Budget,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            help="plug-in, dkw, clopper-pearson, berk-jones, tangent-betting; or divergence, which covers attacks on "
            "actions, too, of Kullback–Leibler divergence (budget/sigma)²/2.",
        ),
    ] = "tangent-betting",
    alpha: Alpha = 0.05,
    norm: Annotated[
        str,
        typer.Option("--norm", help="In which the budget is given: l2 or l1 of the whole attack, linf of an entry."),
    ] = "l2",
    entries: Annotated[int, typer.Option("--entries", min=1, help="With linf: the entries seen in an episode.")] = 1,
    as_json: Json = False,
) -> None:
    """Bound the mean cost under attack from the costs of smoothed episodes; the bound is the last number printed."""
    import numpy as np

    from quaestor.certification.beyond_l2 import divergence_bounds, l2_covering_l1, l2_covering_linf
    from quaestor.certification.bounds import BOUNDS
    from quaestor.certification.plug_in import plug_in
    from quaestor.study import refuse_unknown

    methods = {"plug-in": plug_in, **BOUNDS, "divergence": divergence_bounds}
    covering = {"l2": budget, "l1": l2_covering_l1(budget), "linf": l2_covering_linf(budget, entries)}
    refuse_unknown("bound", method, methods)
    refuse_unknown("norm", norm, covering)
    _refuse_impossible(sigma, budget, alpha)
    if not 0 < cap < math.inf:
        raise UsageError(f"cap must be above 0 and finite, found {cap:g}.")
    values = _read_costs(costs)
    bound = float(methods[method](values, cap, np.array([covering[norm] / sigma]), alpha)[0])
    beyond = int((values > cap).sum())
    if as_json:
        print_json({"method": method, "episodes": len(values), "beyond_cap": beyond, "alpha": alpha, "bound": bound})
        return
    if beyond or values.min() < 0:
        typer.echo(f"{beyond:,} costs above the cap count as {cap:g}, costs below 0 as 0.", err=True)
    kind = "an estimate, no certificate" if method == "plug-in" else f"fails in at most {alpha:g} of all samples"
    size = f"budget {budget:g}" + ("" if norm == "l2" else f" in {norm}, covered by {covering[norm]:g} in l2")
    typer.echo(f"{method} on {len(values):,} episodes, cap {cap:g}, {size}, sigma {sigma:g}; {kind}:")
    typer.echo(f"{bound:.10f}")


def certificate_quantile(
    costs: Costs,
    exceedance: Annotated[float, typer.Option("--exceedance", help="How often the level may be exceeded, 0.1 say.")],
    sigma: Sigma,
    budget: Budget,
    alpha: Alpha = 0.05,
    as_json: Json = False,
) -> None:
    """Bound a quantile of cost under attack, where costs have no cap; the level is the last number printed."""
    from quaestor.certification.quantile import quantile_bound

    _refuse_impossible(sigma, budget, alpha)
    if not 0 < exceedance < 1:
        raise UsageError(f"exceedance must lie between 0 and 1, found {exceedance:g}.")
    values = _read_costs(costs)
    level = quantile_bound(values, exceedance, budget / sigma, alpha)
    if as_json:
        print_json({"episodes": len(values), "exceedance": exceedance, "alpha": alpha, "level": level})
        return
    typer.echo(
        f"Under every attack of total ℓ2 size {budget:g} a cost exceeds this level with probability {exceedance:g} at "
        f"most; from {len(values):,} episodes, fails in at most {alpha:g} of all samples:"
    )
    typer.echo(f"{level:.10f}")


def certificate_schema() -> None:
    """Print the JSON schema of a certificate, for those who read one without Quaestor."""
    from quaestor.certification.schema import certificate_schema as schema

    print_json(schema())


def _refuse_impossible(sigma: float, budget: float, alpha: float) -> None:
    if not (0 < sigma < math.inf and 0 <= budget < math.inf and 0 < alpha <= 0.5):
        raise UsageError("sigma must be above 0, budget 0 or more, both finite, and alpha in (0, 0.5].")


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

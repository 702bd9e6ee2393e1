"""How far each bound lies above the true attacked mean, and how often it fails, over laws with known truth."""

from __future__ import annotations

import itertools

import numpy as np
from scipy import integrate, stats
from scipy.stats import beta

from benchmarks import Row, options, report
from quaestor.certification.bounds import BOUNDS
from quaestor.certification.distortion import distort

LAWS = {
    "gamma": (stats.gamma(16, scale=100 / 16), 400.0),
    "beta": (stats.beta(2, 5, scale=100), 100.0),
    "uniform": (stats.uniform(0, 100), 100.0),
    "lognormal": (stats.lognorm(0.25, scale=np.exp(4)), 200.0),
    "exponential": (stats.expon(), 12.0),
    "bernoulli": (stats.bernoulli(0.1), 1.0),
}


def main() -> None:
    """Rows: law, lam, episodes, method, excess_percent over the true bound, violations in trials at level alpha.

    After the table the rate of violations of each method over all cells is printed with its exact 95 % interval.
    """
    parser = options(__doc__)
    parser.add_argument("--law", choices=LAWS, action="append")
    parser.add_argument("--lam", type=float, action="append", help="budget / noise scale")
    parser.add_argument("--episodes", type=int, action="append")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--trials", type=int, default=1000)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.trials = min(arguments.trials, 100)
    ratios = np.array(arguments.lam or [0.5, 1.0, 2.0])
    rows = [
        row
        for law in arguments.law or LAWS
        for episodes in arguments.episodes or ([1000] if arguments.quick else [1000, 10_000])
        for row in measure(law, ratios, episodes, arguments.alpha, arguments.trials)
    ]
    report(rows, arguments.json)
    for method in BOUNDS:
        cells = [row for row in rows if row["method"] == method]
        failed, trials = sum(row["violations"] for row in cells), sum(row["trials"] for row in cells)
        lower, upper = beta.ppf((0.025, 0.975), (failed, failed + 1), (trials - failed + 1, trials - failed))
        worst = max(cells, key=lambda row: row["violations"])
        print(
            f"{method}: {failed} violations in {trials} ({np.nan_to_num(lower):.2%} to {upper:.2%}), "
            f"most in {worst['law']}, λ = {worst['lam']:g}, m = {worst['episodes']}: {worst['violations']}"
        )


def measure(law: str, ratios: np.ndarray, episodes: int, alpha: float, trials: int) -> list[Row]:
    """A row for each λ and method, all on the same samples."""
    distribution, cap = LAWS[law]
    truth = np.array([true_mean(distribution, cap, ratio) for ratio in ratios])
    found: dict[str, list[np.ndarray]] = {method: [] for method in BOUNDS}
    for trial in range(trials):
        sample = distribution.rvs(episodes, random_state=np.random.default_rng([trial, episodes])).astype(float)
        for method, bound in BOUNDS.items():
            found[method].append(bound(sample, cap, ratios, alpha))
    return [
        {
            "law": law,
            "lam": float(ratio),
            "episodes": episodes,
            "method": method,
            "excess_percent": float(100 * (np.mean(values, axis=0)[column] / truth[column] - 1)),
            "violations": int((np.array(values)[:, column] < truth[column]).sum()),
            "trials": trials,
        }
        for column, ratio in enumerate(ratios)
        for method, values in found.items()
    ]


def true_mean(distribution: object, cap: float, ratio: float) -> float:
    """∫₀^cap g(S(t)) dt of a law, cut at points where its survival function bends."""
    survival = distribution.sf  # type: ignore[attr-defined]
    points = np.unique(np.clip(distribution.isf(np.logspace(-14, 0, 57)), 0, cap))  # type: ignore[attr-defined]
    edges = np.unique(np.concatenate(([0.0], points, [cap])))
    if isinstance(distribution.dist, stats.rv_discrete):  # type: ignore[attr-defined]
        return float((distort(survival(edges[:-1]), ratio) * np.diff(edges)).sum())
    return sum(
        integrate.quad(lambda t: float(distort(np.array(survival(t)), ratio)), low, high, epsabs=1e-12)[0]
        for low, high in itertools.pairwise(edges)
    )


if __name__ == "__main__":
    main()

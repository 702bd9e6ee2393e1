"""How far each bound lies above the true attacked mean, and how often it fails, over laws with known truth."""

from __future__ import annotations

import numpy as np
from scipy import stats

from benchmarks import options, report
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
    """Rows: law, lam, episodes, method, excess_percent over the true bound, violations in trials at level alpha."""
    parser = options(__doc__)
    parser.add_argument("--law", choices=LAWS, action="append")
    parser.add_argument("--lam", type=float, action="append", help="budget / noise scale")
    parser.add_argument("--episodes", type=int, action="append")
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--trials", type=int, default=1000)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.trials = 100
    rows = []
    for law in arguments.law or LAWS:
        distribution, cap = LAWS[law]
        for ratio in arguments.lam or (0.5, 1.0):
            truth = _truth(distribution, cap, ratio)
            for episodes in arguments.episodes or (1000, 10_000):
                draw = np.random.default_rng(0)
                samples = [distribution.rvs(episodes, random_state=draw).astype(float) for _ in range(arguments.trials)]
                for method, bound in BOUNDS.items():
                    values = np.array([bound(sample, cap, ratio, arguments.alpha) for sample in samples])
                    rows.append(
                        {
                            "law": law,
                            "lam": ratio,
                            "episodes": episodes,
                            "method": method,
                            "excess_percent": float(100 * (values.mean() / truth - 1)),
                            "violations": int((values < truth).sum()),
                            "trials": arguments.trials,
                        }
                    )
    report(rows, arguments.json)


def _truth(distribution: object, cap: float, ratio: float) -> float:
    grid = np.linspace(0, cap, 400_001)
    survival = distribution.sf(grid)  # type: ignore[attr-defined]
    return float((distort(survival[:-1], ratio) * np.diff(grid)).sum())


if __name__ == "__main__":
    main()

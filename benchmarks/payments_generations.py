"""Generations in the payments world: what short memory does to a policy's value, and what pooling windows does."""

from __future__ import annotations

from benchmarks import options, report
from models.payments.exploration.epsilon_greedy import EpsilonGreedy
from models.payments.exploration.inverse_gap import InverseGap
from models.payments.generations import GenerationParams, play
from models.payments.refit import RefitParams
from models.payments.world import PaymentsWorld, WorldParams
from quaestor.log.maturity import MaturityParams

MATURITY = MaturityParams(attribution_hours=72, default_reward=0.0)
STRATEGIES: dict[str, tuple[EpsilonGreedy | InverseGap, int]] = {
    "epsilon 0.1, last window": (EpsilonGreedy(epsilon=0.1), 1),
    "inverse gap 1000, last window": (InverseGap(gamma=1000.0), 1),
    "inverse gap 200, last window": (InverseGap(gamma=200.0), 1),
    "inverse gap 1000, all windows": (InverseGap(gamma=1000.0), 1_000),
}


def main() -> None:
    """Rows: strategy, seed, generation, greedy_share and deployed_share of the gap from uniform to optimal."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=40_000, help="payments a generation")
    parser.add_argument("--drift", type=float, default=0.0, help="radians a day by which issuers' responses turn")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.generations, arguments.rounds = 1, 4, 10_000
    rows = []
    for strategy, (rule, memory) in STRATEGIES.items():
        refit = RefitParams(default_action="none", exploration=rule)
        params = GenerationParams(refit, MATURITY, arguments.generations, arguments.rounds, memory)
        for seed in range(arguments.seeds):
            for played in play(PaymentsWorld(WorldParams(seed=seed, drift_per_day=arguments.drift)), params):
                rows.append(
                    {
                        "strategy": strategy,
                        "seed": seed,
                        "generation": played.number,
                        "greedy_share": played.greedy_share,
                        "deployed_share": played.deployed_share,
                    }
                )
    report(rows, arguments.json)


if __name__ == "__main__":
    main()

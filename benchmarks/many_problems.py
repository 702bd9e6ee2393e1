"""Many small problems at once, each with weights of its own, against one problem with as many scenarios.

`python -m benchmarks.many_problems`: one_store_lost with the perceptron of `hdpo_speed`. Whole epochs are timed, as
`hdpo.train` and `train_many` run them: shuffling, copying rows, forward, backward, step, and judging on dev, which has
as many scenarios.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks import Row, options, report, seconds
from benchmarks.hdpo_speed import MLP
from models.inventory.hdpo import HDPOParams, train
from models.inventory.instances import one_store_lost
from models.inventory.layout import layout_of
from models.inventory.many_problems import train_many
from models.inventory.policies.build import build_policy
from models.inventory.scenarios import Scenarios, drawn_scenarios

PERIODS = 50
EPOCHS = 4


def main() -> None:
    """Rows: problems, scenarios (of each), threads, train_rate (scenarios × periods a second, all problems together),
    one_rate (of one problem with as many scenarios) and share, of the one in the other."""
    parser = options(__doc__ or "")
    parser.add_argument("--problems", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--scenarios", type=int, default=32, help="of each problem")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    problems = [256] if arguments.quick else arguments.problems
    report([_row(count, arguments.scenarios, arguments.threads) for count in problems], arguments.json)


def _row(problems: int, scenarios: int, threads: int) -> Row:
    instance = one_store_lost(4, 9.0)
    layout = layout_of(instance.network)

    def drawn(batch: int, seed: int) -> Scenarios:
        return drawn_scenarios(layout, instance.demand, batch, PERIODS, 0, seed)

    known = [drawn(scenarios, seed) for seed in range(problems)]
    dev = [drawn(scenarios, problems + seed) for seed in range(problems)]
    policies = [build_policy(MLP, layout, 5.0, seed) for seed in range(problems)]
    whole, whole_dev = (drawn(problems * scenarios, seed) for seed in range(2))
    alone = build_policy(MLP, layout, 5.0, 0)

    def many(epochs: int) -> object:
        return train_many(policies, layout, known, dev, HDPOParams(epochs=epochs, batch=scenarios), 0)

    def one(epochs: int) -> object:
        return train(alone, layout, whole, whole_dev, HDPOParams(epochs=epochs, batch=whole.batch), 0)

    work = whole.batch * PERIODS
    rate, one_rate = work / _epoch_seconds(many), work / _epoch_seconds(one)
    return {
        "problems": problems,
        "scenarios": scenarios,
        "threads": threads,
        "train_rate": rate,
        "one_rate": one_rate,
        "share": rate / one_rate,
    }


def _epoch_seconds(training: Callable[[int], object]) -> float:
    """Of an epoch beyond the first, which traces and prepares."""
    training(1)
    return (seconds(lambda: training(1 + EPOCHS)) - seconds(lambda: training(1))) / EPOCHS


if __name__ == "__main__":
    main()

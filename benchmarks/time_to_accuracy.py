"""Seconds of training until a policy comes within 0.25 % of the optimum: lost sales, lead time 4, underage cost 9.

The whole of a training is timed: drawing demand, tracing, steps, judging on dev. The gap is then measured on fresh
demand that the optimal policy meets, too, in whole units. The machine is compiled beforehand, as on its first use.
"""

from __future__ import annotations

import statistics
import time

import torch

from benchmarks import Row, options, report
from models.inventory.hdpo import HDPOParams, mean_cost, train
from models.inventory.instances import one_store_lost
from models.inventory.layout import layout_of
from models.inventory.native.build import library
from models.inventory.policies.build import build_policy
from models.inventory.policies.mlp import MLPParams
from models.inventory.scenarios import Scenarios, drawn_scenarios
from models.inventory.yardsticks.order_table import OrderTablePolicy
from models.inventory.yardsticks.value_iteration import lost_sales_optimum, poisson_pmf
from quaestor.ope.interval import paired_interval
from quaestor.randomness import stream_seed

LEAD_TIME, UNDERAGE, MEAN = 4, 9.0, 5.0
WITHIN = 0.0025
WARMUP, SEGMENT, SEGMENTS, EPOCHS, BATCH, LEARNING_RATE = 20, 30, 10, 7, 512, 1.5e-2


def main() -> None:
    """Rows: seed, threads, train_seconds, optimum, cost, gap (a share of the optimum), gap_lower, gap_upper (95 %),
    within; the median of train_seconds is printed."""
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    library()
    rows = [_run(seed) for seed in range(2 if arguments.quick else arguments.seeds)]
    report(rows, arguments.json)
    met = sum(row["within"] for row in rows)
    median = statistics.median(row["train_seconds"] for row in rows)
    print(f"median {median:.2f} s; {met} of {len(rows)} seeds within {WITHIN:.2%} of the optimum")


def _run(seed: int) -> Row:
    instance = one_store_lost(LEAD_TIME, UNDERAGE)
    layout = layout_of(instance.network)

    def drawn(what: str, batch: int, periods: int) -> Scenarios:
        return drawn_scenarios(layout, instance.demand, batch, WARMUP + periods, 0, stream_seed(seed, what))

    start = time.perf_counter()
    policy = build_policy(MLPParams(hidden=2, window=0, calendar=0), layout, MEAN, stream_seed(seed, "weights"))
    params = HDPOParams(
        epochs=EPOCHS, batch=BATCH, learning_rate=LEARNING_RATE, segment=SEGMENT, scale_exponent=0.0, seed=seed
    )
    train(
        policy,
        layout,
        lambda epoch: drawn(f"epoch {epoch}", BATCH, SEGMENTS * SEGMENT),
        drawn("dev", 256, 50),
        params,
        WARMUP,
    )
    seconds = time.perf_counter() - start
    optimum = lost_sales_optimum(poisson_pmf(MEAN), LEAD_TIME, 1.0, UNDERAGE)
    test = drawn("test", 8192, 500)
    learned, best = (
        mean_cost(layout, judged, test, WARMUP).double().numpy() for judged in (policy, OrderTablePolicy(optimum))
    )
    excess = paired_interval(learned - best)
    return {
        "seed": seed,
        "threads": torch.get_num_threads(),
        "train_seconds": seconds,
        "optimum": optimum.cost,
        "cost": float(learned.mean()),
        "gap": excess.value / optimum.cost,
        "gap_lower": excess.lower / optimum.cost,
        "gap_upper": excess.upper / optimum.cost,
        "within": bool(excess.value / optimum.cost <= WITHIN),
    }


if __name__ == "__main__":
    main()

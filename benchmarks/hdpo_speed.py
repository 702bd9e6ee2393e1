"""Store-periods a second of rollouts with the graph policy: training (forward, backward, step) and evaluation."""

from __future__ import annotations

import torch

from benchmarks import Row, options, peak_bytes, report, seconds
from models.inventory.demand_law import DemandLaw
from models.inventory.layout import layout_of
from models.inventory.network import Edge, Network, Node
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.rollout import rollout
from models.inventory.scenarios import drawn_scenarios


def main() -> None:
    """Rows: problem, policy, threads, batch, train_rate and eval_rate (scenarios × stores × periods a second),
    eval_over_train and peak_bytes."""
    parser = options(__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--periods", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.quick:
        arguments.batch, arguments.periods = 256, 20
    rows = []
    for problem, stores, params in (
        ("one_store_lost", 1, MLPParams(window=0, calendar=0)),
        ("one_warehouse", 5, GraphParams(window=0, calendar=0, rounds=1)),
    ):
        rows.append(_measure(problem, stores, params, arguments.batch, arguments.periods))
    report(rows, arguments.json)


def _measure(problem: str, stores: int, params: PolicyParams, batch: int, periods: int) -> Row:
    layout = layout_of(_network(stores))
    law = DemandLaw("normal", (5.0,) * stores, (1.6,) * stores)
    scenarios = drawn_scenarios(layout, law, batch, periods, 0, seed=0)
    policy = build_policy(params, layout, 5.0, seed=0)
    optimiser = torch.optim.Adam(policy.parameters())

    def train() -> None:
        optimiser.zero_grad()
        rollout(layout, policy, scenarios).mean().backward()
        optimiser.step()

    def evaluate() -> None:
        with torch.no_grad():
            rollout(layout, policy, scenarios)

    work = batch * stores * periods
    train()
    train_rate, eval_rate = work / seconds(train), work / seconds(evaluate)
    return {
        "problem": problem,
        "policy": params.kind,
        "threads": torch.get_num_threads(),
        "batch": batch,
        "train_rate": train_rate,
        "eval_rate": eval_rate,
        "eval_over_train": eval_rate / train_rate,
        "peak_bytes": peak_bytes(),
    }


def _network(stores: int) -> Network:
    shops = tuple(Node(f"S{k}", "store", 1.0, 9.0) for k in range(stores))
    if stores == 1:
        return Network("one", "lost", (Node("supplier", "supplier"), *shops), (Edge("supplier", "S0", 4),))
    nodes = (Node("supplier", "supplier"), Node("W", "warehouse", 0.3), *shops)
    edges = (Edge("supplier", "W", 3), *(Edge("W", shop.name, 2 + k % 2) for k, shop in enumerate(shops)))
    return Network("one warehouse", "lost", nodes, edges)


if __name__ == "__main__":
    main()

"""Scenarios × stores × periods a second in training (forward, backward, step) and evaluation, against eager and floor.

The floor is nominal: the time that torch's matrix products of the policy's own shapes take in this run, times three
for a training step, with every edge reading its ends and itself in one product (no projection before gathering).
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import torch

from benchmarks import Row, options, peak_bytes, report, seconds
from models.inventory.demand_law import DemandLaw
from models.inventory.instances import (
    Instance,
    many_warehouses_lost,
    one_store_lost,
    one_warehouse_lost,
    serial,
)
from models.inventory.layout import Layout, layout_of
from models.inventory.native.operator import profiled
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.policies.order_up_to import ANSWERS_PER_EDGE
from models.inventory.rollout import Execution, rollout
from models.inventory.scenarios import Scenarios, drawn_scenarios

MLP = MLPParams(width=32, hidden=3, window=0, calendar=0)
REPEATS = 20
GRAPH = GraphParams(width=32, rounds=1, window=0, calendar=0)


@dataclass(frozen=True)
class Case:
    """What is measured: a class, a policy for it, and how many scenarios are played for how many periods."""

    problem: str
    policy: PolicyParams
    batch: int
    periods: int = 50
    stores: int = 5
    device: str = "cpu"
    threads: int = 1
    profile: bool = False

    @property
    def instance(self) -> Instance:
        """The network and its demand; stores are independent where there are very many of them."""
        match self.problem:
            case "one_store_lost":
                return one_store_lost(4, 9.0)
            case "one_store_seen":
                return one_store_lost(6, 9.0)
            case "serial":
                return serial(4, 9.0)
            case "many_warehouses_lost":
                return many_warehouses_lost(0)
        instance = one_warehouse_lost(self.stores, 0)
        if self.stores <= 50:
            return instance
        return replace(instance, demand=DemandLaw("normal", instance.demand.mean, instance.demand.deviation))


CASES = (
    Case("one_store_lost", MLP, 8192),
    Case("serial", MLP, 8192),
    Case("one_warehouse_lost", GRAPH, 1024),
    Case("many_warehouses_lost", GRAPH, 1024),
    Case("one_store_seen", replace(MLP, window=16), 8192, 95),  # the size of the real series: past demand is seen
)


def main() -> None:
    """Rows: problem, device, threads, batch, train_rate, eval_rate, eager_train_rate, floor_rate, share_of_floor and
    peak_bytes (of a process that trains, evaluates and nothing else)."""
    parser = options(__doc__ or "")
    parser.add_argument("--problem", choices=[case.problem for case in CASES], help="only this class")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, help="scenarios played at once")
    parser.add_argument("--stores", type=int, nargs="+", help="of one_warehouse_lost; several give several rows")
    parser.add_argument("--periods", type=int, nargs="+", help="of an episode; several give several rows")
    parser.add_argument("--profile", action="store_true", help="where a training step spends its time")
    arguments = parser.parse_args()
    rows = []
    for case in _chosen(arguments):
        # A process each: peak memory is that of the process, and eager torch takes much more.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
            rows.append(apart.submit(_measure, case).result())
    report(rows, arguments.json)


def _chosen(arguments: argparse.Namespace) -> list[Case]:
    problem = arguments.problem or ("one_warehouse_lost" if arguments.stores else None)
    cases = [case for case in CASES if problem in (None, case.problem)]
    if arguments.quick:
        cases = [replace(case, batch=case.batch // 4, periods=20) for case in cases[:4]]
    given = {name: getattr(arguments, name) for name in ("device", "threads", "profile")}
    return [
        replace(case, **given, stores=stores, periods=periods, batch=arguments.batch or case.batch)
        for case in cases
        for stores in arguments.stores or [case.stores]
        for periods in arguments.periods or [case.periods]
    ]


def _measure(case: Case) -> Row:
    torch.set_num_threads(case.threads)
    instance = case.instance
    layout = layout_of(instance.network).relaxed()
    scenarios = drawn_scenarios(layout, instance.demand, case.batch, case.periods, case.policy.window, seed=0)
    layout, scenarios = layout.to(case.device), scenarios.to(case.device)
    train_rate, eval_rate = _rates(case, layout, scenarios, "auto", repeats=3)
    memory = torch.cuda.max_memory_allocated() if case.device == "cuda" else peak_bytes()
    # Eager torch keeps every period in memory; its rate is that of as many scenarios as fit.
    fewer = scenarios.rows(torch.arange(min(case.batch, max(8, 2_000_000 // (layout.edges * case.periods)))))
    eager_rate, _ = _rates(replace(case, profile=False), layout, fewer, "eager", repeats=2)
    floor_rate = layout.stores * case.batch / (3 * _products(case, layout))
    return {
        "problem": _label(case),
        "device": case.device,
        "threads": case.threads,
        "batch": case.batch,
        "train_rate": train_rate,
        "eval_rate": eval_rate,
        "eager_train_rate": eager_rate,
        "floor_rate": floor_rate,
        "share_of_floor": train_rate / floor_rate,
        "peak_bytes": memory,
    }


def _rates(case: Case, layout: Layout, scenarios: Scenarios, execution: Execution, repeats: int) -> tuple[float, float]:
    """Store-periods a second in training and in evaluation."""
    policy = build_policy(case.policy, layout, 5.0, seed=0).to(case.device)
    optimiser = torch.optim.Adam(policy.parameters())

    def train() -> None:
        optimiser.zero_grad()
        rollout(layout, policy, scenarios, execution=execution).mean().backward()
        optimiser.step()
        _wait(case)

    def evaluate() -> None:
        with torch.no_grad():
            rollout(layout, policy, scenarios, execution=execution)
        _wait(case)

    train()  # compiled, traced and warm
    work = scenarios.batch * layout.stores * case.periods
    rates = work / seconds(train, repeats), work / seconds(evaluate, repeats)
    if case.profile:
        with profiled() as spent:
            whole = seconds(train, 1)
        print(f"{_label(case)}: a training step takes {whole:.3f} s, of which the first of {case.threads} thread(s) is")
        for operation, share in sorted(spent.items(), key=lambda entry: -entry[1]):
            if share > 0.005 * whole:
                print(f"  {share:.3f} s  in {operation}")
        print(f"  {whole - sum(spent.values()):.3f} s  in the rest: reading, copying, torch, the step")
    return rates


def _products(case: Case, layout: Layout) -> float:
    """Seconds that one period's matrix products take, forwards, each as one product over the batch."""
    products = _mlp_shapes(case, layout) if isinstance(case.policy, MLPParams) else _graph_shapes(case, layout)
    total = 0.0
    for rows, inputs, outputs in products:
        left, right = (torch.randn(*shape, device=case.device) for shape in ((rows, inputs), (inputs, outputs)))
        out = torch.empty(rows, outputs, device=case.device)
        total += seconds(lambda: _repeat(case, left, right, out), 7) / REPEATS  # noqa: B023 called at once
    return total


def _repeat(case: Case, left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
    for _ in range(REPEATS):
        torch.mm(left, right, out=out)
    _wait(case)


def _mlp_shapes(case: Case, layout: Layout) -> list[tuple[int, int, int]]:
    policy = build_policy(case.policy, layout, 5.0, seed=0)
    weights = [weight.shape for weight in policy.parameters() if weight.ndim == 2]
    return [(case.batch, inputs, outputs) for outputs, inputs in weights]


def _graph_shapes(case: Case, layout: Layout) -> list[tuple[int, int, int]]:
    """Encoders; in each round two layers on each edge (its ends and itself) and on each node; answers."""
    assert isinstance(case.policy, GraphParams)
    width, places, edges = case.policy.width, layout.places * case.batch, layout.edges * case.batch
    features = build_policy(case.policy, layout, 5.0, seed=0).state_dict()["node_encoder.weight"].shape[1]
    two_layers = [(3 * width, width), (width, width)]
    shapes = [(places, features, width), (edges, 2, width)]
    for _ in range(case.policy.rounds):
        shapes += [(rows, *layer) for rows in (edges, places) for layer in two_layers]
    shapes += [(places, width, width), (places, width, 1)]
    return [*shapes, (edges, 3 * width, width), (edges, width, ANSWERS_PER_EDGE)]


def _wait(case: Case) -> None:
    if case.device == "cuda":
        torch.cuda.synchronize()


def _label(case: Case) -> str:
    standard = next(of for of in CASES if of.problem == case.problem)
    name = case.problem if case.stores == standard.stores else f"{case.problem}, {case.stores} stores"
    return name if case.periods == standard.periods else f"{name}, {case.periods} periods"


if __name__ == "__main__":
    main()

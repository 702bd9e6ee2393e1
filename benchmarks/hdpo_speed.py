"""Scenarios × stores × periods a second in training (forward, backward, step) and evaluation, against eager and floor.

The floor is nominal (../shared/reference/inventory.md): three times the multiplications of a policy's forward pass,
with every edge reading its ends and itself in one product, at the best rate at which torch multiplies any of the
policy's own shapes in this run. What is printed beside it is the time of its shapes one by one: narrow ones are slower,
so the share is larger. `*_reference` is a graph policy of the size that the reference's own figures are for (180,288
multiplications for one warehouse and five stores).
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import torch

from benchmarks import Row, options, peak_bytes, report, seconds
from benchmarks.worlds.reference_graph import ReferenceGraph, multiplications
from models.inventory.demand_law import DemandLaw
from models.inventory.instances import (
    Instance,
    many_warehouses_lost,
    one_store_lost,
    one_warehouse_lost,
    serial,
)
from models.inventory.layout import Layout, layout_of
from models.inventory.mixed_precision import MixedPrecision
from models.inventory.native.operator import profiled
from models.inventory.policies.build import OrderModule, PolicyParams, build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.policies.mlp import MLPParams
from models.inventory.policies.order_up_to import ANSWERS_PER_EDGE
from models.inventory.rollout import Execution, rollout, weighed
from models.inventory.scenarios import Scenarios, drawn_scenarios

MLP = MLPParams(width=32, hidden=3, window=0, calendar=0)
REPEATS = 20
GRAPH = GraphParams(width=32, rounds=1, window=0, calendar=0)


@dataclass(frozen=True)
class Case:
    """What is measured: a class, a policy for it (None: the reference's own graph policy), and how many scenarios are
    played for how many periods."""

    problem: str
    policy: PolicyParams | None
    batch: int
    periods: int = 50
    stores: int = 5
    device: str = "cpu"
    threads: int = 1
    mixed: bool = False
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
            case "many_warehouses_lost" | "many_warehouses_reference":
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
    Case("one_warehouse_reference", None, 1024),
    Case("many_warehouses_reference", None, 1024),
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
    parser.add_argument("--mixed", action="store_true", help="train with products in bfloat16, on a GPU")
    parser.add_argument("--profile", action="store_true", help="where a training step spends its time")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: torch finds no CUDA device on this machine; leave it out to measure on the CPU.")
    if arguments.stores and arguments.problem not in (None, "one_warehouse_lost", "one_warehouse_reference"):
        parser.error(f"--stores is the size of one_warehouse_lost; {arguments.problem} has a size of its own.")
    if any(number < 1 for number in _numbers(arguments)):
        parser.error("--threads, --batch, --stores and --periods must be 1 or more.")
    rows = []
    for case in _chosen(arguments):
        # A process each: peak memory is that of the process, and eager torch takes much more.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
            rows.append(apart.submit(_measure, case).result())
    report(rows, arguments.json)


def _numbers(arguments: argparse.Namespace) -> list[int]:
    single = [arguments.threads, arguments.batch]
    return [number for number in (*single, *(arguments.stores or ()), *(arguments.periods or ())) if number is not None]


def _chosen(arguments: argparse.Namespace) -> list[Case]:
    problem = arguments.problem or ("one_warehouse_lost" if arguments.stores else None)
    cases = [case for case in CASES if problem in (None, case.problem)]
    if arguments.quick:
        cases = [replace(case, batch=case.batch // 4, periods=20) for case in cases[:5]]
    given = {name: getattr(arguments, name) for name in ("device", "threads", "mixed", "profile")}
    return [
        replace(case, **given, stores=stores, periods=periods, batch=arguments.batch or _batch(case, stores, periods))
        for case in cases
        for stores in arguments.stores or [case.stores]
        for periods in arguments.periods or [case.periods]
    ]


def _batch(case: Case, stores: int, periods: int) -> int:
    """As many scenarios as usual; fewer for large networks and long horizons, which would take minutes."""
    most = 20 * case.stores * case.periods * case.batch // (stores * periods)
    return min(case.batch, max(32, most))


def _policy(case: Case, layout: Layout) -> OrderModule | ReferenceGraph:
    if case.policy is not None:
        return build_policy(case.policy, layout, 5.0, seed=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ReferenceGraph(layout.longest_lead_time)


def _measure(case: Case) -> Row:
    torch.set_num_threads(case.threads)
    instance = case.instance
    layout = layout_of(instance.network).relaxed()
    history = 0 if case.policy is None else case.policy.window
    scenarios = drawn_scenarios(layout, instance.demand, case.batch, case.periods, history, seed=0)
    layout, scenarios = layout.to(case.device), scenarios.to(case.device)
    repeats = 3 if case.batch * layout.stores * case.periods < 20_000_000 else 1
    train_rate, eval_rate = _rates(case, layout, scenarios, "auto", repeats)
    memory = torch.cuda.max_memory_allocated() if case.device == "cuda" else peak_bytes()
    # Eager torch keeps every period in memory; its rate is that of as many scenarios as fit.
    fewer = scenarios.rows(torch.arange(min(case.batch, max(1, 2_000_000 // (layout.edges * case.periods)))))
    eager_rate, _ = _rates(replace(case, profile=False), layout, fewer, "eager", repeats=2)
    floor_rate, by_shapes = _floor(case, layout)
    print(
        f"{_label(case)}: {train_rate / floor_rate:.2f} of the nominal floor, "
        f"{train_rate / by_shapes:.2f} of the time of its shapes one by one"
    )
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
    policy = _policy(case, layout).to(case.device)
    learner = MixedPrecision(policy) if case.mixed and case.device == "cuda" else policy
    optimiser = torch.optim.Adam(policy.parameters())
    weight = torch.full_like(scenarios.demand[:, 0, scenarios.history :], 1 / (case.batch * case.periods))

    def train() -> None:
        optimiser.zero_grad()
        weighed(layout, learner, scenarios, weight, execution)[0].backward()
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


def _floor(case: Case, layout: Layout) -> tuple[float, float]:
    """Store-periods a second that a training step's products would allow: at the best rate among their shapes, and as
    they are, each as one product over the batch."""
    products = _mlp_shapes(case, layout) if isinstance(case.policy, MLPParams) else _graph_shapes(case, layout)
    total, best, taken = 0, 0.0, 0.0
    for rows, inputs, outputs in products:
        left, right = (torch.randn(*shape, device=case.device) for shape in ((rows, inputs), (inputs, outputs)))
        out = torch.empty(rows, outputs, device=case.device)
        spent = seconds(lambda: _repeat(case, left, right, out), 7) / REPEATS  # noqa: B023 called at once
        size = rows * inputs * outputs
        total, best, taken = total + size, max(best, size / spent), taken + spent
    work = layout.stores * case.batch / 3
    return work * best / total, work / taken


def _repeat(case: Case, left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> None:
    for _ in range(REPEATS):
        torch.mm(left, right, out=out)
    _wait(case)


def _mlp_shapes(case: Case, layout: Layout) -> list[tuple[int, int, int]]:
    policy = _policy(case, layout)
    weights = [weight.shape for weight in policy.parameters() if weight.ndim == 2]
    return [(case.batch, inputs, outputs) for outputs, inputs in weights]


def _graph_shapes(case: Case, layout: Layout) -> list[tuple[int, int, int]]:
    """Encoders; in each round two layers on each edge (its ends and itself) and on each node; answers."""
    if case.policy is None:
        return [(rows * case.batch, inputs, outputs) for rows, inputs, outputs in multiplications(layout)]
    assert isinstance(case.policy, GraphParams)
    width, places, edges = case.policy.width, layout.places * case.batch, layout.edges * case.batch
    features = _policy(case, layout).state_dict()["node_encoder.weight"].shape[1]
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

"""Two processes that share a training end with the weights of one."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed

from models.inventory.hdpo import HDPOParams, train
from models.inventory.instances import one_warehouse_lost
from models.inventory.layout import layout_of
from models.inventory.policies.build import build_policy
from models.inventory.policies.graph import GraphParams
from models.inventory.scenarios import drawn_scenarios


def train_as(rank: int, processes: int, folder: Path, execution: str) -> None:
    torch.set_num_threads(1)
    if processes > 1:
        meeting = f"file://{folder / 'meeting'}"
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    instance = one_warehouse_lost(3, 0)
    layout = layout_of(instance.network, torch.float64)  # in single precision Adam makes steps of rounding errors
    policy = build_policy(GraphParams(width=8, rounds=1, window=2, calendar=0), layout, 5.0, seed=0)
    known, dev = (drawn_scenarios(layout, instance.demand, batch, 12, 4, seed=batch) for batch in (45, 31))
    params = HDPOParams(epochs=3, batch=15, scale_exponent=0.0, execution=execution)  # type: ignore[arg-type]
    final = train(policy, layout, known, dev, params, warmup=3)
    figures = {name: weight.numpy() for name, weight in final.policy.items()}
    costs = [(epoch.train_cost, epoch.dev_cost) for epoch in final.curve]
    np.savez(folder / f"{processes}-{rank}.npz", costs=np.array(costs), **figures)
    if processes > 1:
        distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(not distributed.is_available(), reason="torch was built without torch.distributed")
@pytest.mark.parametrize("execution", ["eager", "auto"])
def test_two_processes_train_what_one_trains(execution: str, tmp_path: Path) -> None:
    """Batches of 15 scenarios do not halve evenly, and the last of 45 is whole: parts of different sizes meet."""
    train_as(0, 1, tmp_path, execution)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=train_as, args=(rank, 2, tmp_path, execution)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
        assert worker.exitcode == 0
    alone, first, second = (np.load(tmp_path / f"{name}.npz") for name in ("1-0", "2-0", "2-1"))
    for name in alone.files:
        np.testing.assert_array_equal(first[name], second[name])
        np.testing.assert_allclose(first[name], alone[name], rtol=1e-9, atol=1e-9)

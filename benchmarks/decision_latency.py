"""One decision in process, and many at once, with full propensities: logistic and boosted-tree policies.

`--peers PYTHON` adds one decision of Vowpal Wabbit (benchmarks/peers/decision_latency.py) over the same contexts, run
by a Python that has it (benchmarks/peers/requirements.txt).
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import numpy as np

from benchmarks import Row, options, report, seconds
from models.payments.exploration.inverse_gap import InverseGap
from models.payments.features import FeatureParams, fit_features
from models.payments.oracles.boosted import BoostedParams
from models.payments.oracles.fit import OracleParams, fit_oracle
from models.payments.oracles.logistic import LogisticParams
from models.payments.oracles.oracle import TrainingSet, undescribed
from models.payments.policy import policy_graph
from models.payments.world import ACTIONS, Payments, PaymentsWorld, WorldParams
from quaestor.export.encoding import Encoded, encode
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.spec import PaymentsSpec


def main() -> None:
    """Rows: policy, p50_us and p99_us of one decision from encoded features, decisions_per_s of a batch, and
    `encode_share`, the part of a batch's time that turning frames into arrays takes."""
    parser = options(__doc__ or "")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="a Python that has the peers")
    arguments = parser.parse_args()
    rounds, singles = (20_000, 2_000) if arguments.quick else (200_000, 20_000)
    world = PaymentsWorld(WorldParams())
    payments = world.payments(rounds, 0, "bench")
    params: dict[str, OracleParams] = {"logistic": LogisticParams(), "boosted": BoostedParams()}
    policies = {name: world_policy(world, oracle) for name, oracle in params.items()}
    rows = [_measure(name, policy, payments, singles) for name, policy in policies.items()]
    if arguments.peers:
        contexts = policies["logistic"].encode(payments.context())
        rows.append(_peer(arguments.peers, contexts, singles))
    report(rows, arguments.json)


def _peer(python: Path, contexts: Encoded, singles: int) -> Row:
    given = {"numeric": contexts.numeric[:singles].tolist(), "category": contexts.category[:singles].tolist()}
    script = Path(__file__).parent / "peers" / "decision_latency.py"
    text = json.dumps(given | {"actions": len(ACTIONS)})
    done = subprocess.run([python, script], input=text, check=True, stdout=subprocess.PIPE, text=True)
    row: Row = json.loads(done.stdout.splitlines()[-1])
    return row


def world_policy(world: PaymentsWorld, params: OracleParams, noise_scale: float = 0.1) -> PaymentsPolicy:
    """A policy fitted on 20,000 uniformly decided payments of a world, with inverse-gap exploration."""
    return PaymentsPolicy(*world_graph(world, params, noise_scale))


def world_graph(world: PaymentsWorld, params: OracleParams, noise_scale: float) -> tuple[bytes, PaymentsSpec]:
    """The same as a graph and its spec."""
    payments = world.payments(20_000, 0, "training")
    features = fit_features(payments.context(), FeatureParams())
    uniform = payments.eligible / payments.eligible.sum(axis=1, keepdims=True)
    draw = np.random.default_rng(0)
    action = (uniform.cumsum(axis=1) < draw.random((len(payments), 1))).sum(axis=1)
    chance = world.success(payments)[np.arange(len(payments)), action]
    reward = (draw.random(len(payments)) < chance).astype(np.float64)
    contexts = encode(features, payments.context())
    training = TrainingSet(features, contexts, action, reward, undescribed(len(ACTIONS)))
    oracle = fit_oracle(params, training, seed=0)
    spec = PaymentsSpec("payments", "bench", ACTIONS, "none", features, noise_scale, "salt")
    return policy_graph(oracle, InverseGap(), spec), spec


def _measure(name: str, policy: PaymentsPolicy, payments: Payments, singles: int) -> Row:
    context = payments.context()
    contexts = policy.encode(context)
    whole = seconds(lambda: policy.choose(policy.encode(context), payments.eligible, payments.event_ids))
    coding = seconds(lambda: policy.encode(context))
    taken = []
    rows = zip(contexts.numeric.tolist(), contexts.category.tolist(), payments.eligible.tolist(), strict=True)
    for (numeric, category, eligible), event_id in zip(rows, payments.event_ids[:singles], strict=False):
        start = time.perf_counter()
        policy.choose_one(numeric, category, eligible, event_id, unfit=False)
        taken.append(time.perf_counter() - start)
    p50, p99 = np.quantile(taken, (0.5, 0.99)) * 1e6
    return {
        "policy": name,
        "actions": len(ACTIONS),
        "p50_us": float(p50),
        "p99_us": float(p99),
        "decisions_per_s": len(payments) / whole,
        "encode_share": coding / whole,
    }


if __name__ == "__main__":
    main()

# mypy: ignore-errors
"""The peers on a payments log: Vowpal Wabbit, scikit-learn and MABWiser, each in a process of its own.

Run by the Python of the peers' environment, which knows nothing of this project; prints one JSON row a learner, with
the fields of benchmarks/payments_learners.py. Reading and turning the log into a learner's own format is not timed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

LEARNERS = ("vw_squarecb", "vw_squarecb_coin", "sklearn_logistic", "sklearn_sgd_crossed", "mabwiser_linucb")


class Log:
    """A log as arrays: X (round, number), C (round, category), a, p, y (round,), and the test contexts."""

    def __init__(self, folder, rows):
        frame = pd.read_parquet(Path(folder) / "train.parquet")
        frame = frame if rows is None else frame[:rows]
        test = np.load(Path(folder) / "test.npz")
        self.Xt, self.Ct, self.P = test["X"], test["C"].astype(np.int64), test["P"].astype(np.float64)
        numbers, codes = self.Xt.shape[1], self.Ct.shape[1]
        self.X = frame[[f"x{k}" for k in range(numbers)]].to_numpy(np.float32)
        self.C = frame[[f"c{k}" for k in range(codes)]].to_numpy(np.int64)
        self.a, self.y = frame["action"].to_numpy(np.int64), frame["reward"].to_numpy(np.float64)
        self.p = frame["propensity"].to_numpy(np.float64)
        self.actions = self.P.shape[1]


def sklearn_logistic(log):
    """One logistic regression an action, on numbers and one-hot categories."""
    from sklearn.linear_model import LogisticRegression

    design, test, start = *_one_hot(log), time.perf_counter()
    models = [
        LogisticRegression(C=0.3, max_iter=60, solver="lbfgs").fit(design[log.a == k], log.y[log.a == k])
        for k in range(log.actions)
    ]
    taken = time.perf_counter() - start
    return taken, np.stack([model.predict_proba(test)[:, 1] for model in models], axis=1)


def sklearn_sgd_crossed(log):
    """One logistic regression by stochastic gradients, on features and features × action."""
    from scipy import sparse
    from sklearn.linear_model import SGDClassifier

    design, test, start = *_one_hot(log), time.perf_counter()

    def crossed(rows, action):
        shifted = [sparse.csr_matrix(rows.shape) if k != action else rows for k in range(log.actions)]
        return sparse.hstack([rows, *shifted], format="csr")

    order = np.argsort(log.a, kind="stable")
    joint = sparse.vstack([crossed(design[log.a == k], k) for k in range(log.actions)], format="csr")
    model = SGDClassifier(
        loss="log_loss",
        alpha=1e-6,
        average=True,
        max_iter=3,
        tol=None,
        random_state=0,
        learning_rate="constant",
        eta0=0.05,
    )
    model.fit(joint, log.y[order])
    taken = time.perf_counter() - start
    return taken, np.stack([model.predict_proba(crossed(test, k))[:, 1] for k in range(log.actions)], axis=1)


def mabwiser_linucb(log):
    """LinUCB of MABWiser, on the numbers alone: it holds dense matrices."""
    from mabwiser.mab import MAB, LearningPolicy

    def with_one(numbers):
        return np.concatenate((np.ones((len(numbers), 1)), numbers), axis=1)

    bandit = MAB(list(range(log.actions)), LearningPolicy.LinUCB(alpha=0.0))
    start = time.perf_counter()
    bandit.fit(log.a, log.y, with_one(log.X))
    taken = time.perf_counter() - start
    found = bandit.predict_expectations(with_one(log.Xt))
    return taken, np.array([[row[k] for k in range(log.actions)] for row in found])


def vw_squarecb(log, more=""):
    """Vowpal Wabbit: SquareCB over action-dependent features, with crosses of action and context."""
    from vowpalwabbit import Workspace

    flags = "--cb_explore_adf --squarecb --cb_type mtr -q ca -q na -b 22 --quiet " + more
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        with path.open("w") as file:
            for row in range(len(log.a)):
                label = (int(log.a[row]), 1 - log.y[row], log.p[row])
                file.write(example(log.X[row], log.C[row], log.actions, label))
        start = time.perf_counter()
        model = Workspace(f"{flags} -d {path}")
        taken = time.perf_counter() - start
    scores = np.zeros((min(20_000, len(log.P)), log.actions))
    for row in range(len(scores)):
        scores[row] = list(model.predict(example(log.Xt[row], log.Ct[row], log.actions, None)))
    log.P = log.P[: len(scores)]
    return taken, scores


def vw_squarecb_coin(log):
    """The same with coin betting updates."""
    return vw_squarecb(log, "--coin")


def example(x, c, actions, label):
    """A round as Vowpal Wabbit reads it; label: the action taken, its cost and its probability, or None."""
    numbers = " ".join(f"{k}:{value:.4f}" for k, value in enumerate(x))
    lines = [f"shared |n {numbers} |c " + " ".join(f"{k}={value}" for k, value in enumerate(c))]
    for action in range(actions):
        cost = f"0:{label[1]}:{label[2]:.6f} " if label is not None and label[0] == action else ""
        lines.append(f"{cost}|a a={action}")
    return "\n".join(lines) + "\n\n"


def _one_hot(log):
    from scipy import sparse
    from sklearn.preprocessing import OneHotEncoder

    mean, spread = log.X.mean(axis=0), log.X.std(axis=0)
    encoder = OneHotEncoder(handle_unknown="ignore").fit(log.C)
    return tuple(
        sparse.hstack([sparse.csr_matrix((x - mean) / spread), encoder.transform(c)], format="csr")
        for x, c in ((log.X, log.C), (log.Xt, log.Ct))
    )


def peak_bytes():
    """The most memory this process has held; getrusage would begin with what the process that started it held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def measure(learner, folder, rows):
    """One learner's row."""
    log = Log(folder, rows)
    taken, scores = globals()[learner](log)
    truth = log.P
    greedy = truth[np.arange(len(truth)), scores.argmax(axis=1)].mean()
    chance = np.clip(scores, 0, 1)
    probability = not learner.startswith("vw")  # Vowpal Wabbit returns choice probabilities, not rewards
    brier = float((np.square(chance - truth) + truth * (1 - truth)).mean()) if probability else None
    return {
        "learner": learner,
        "share_of_gap": float(100 * (greedy - truth.mean()) / (truth.max(axis=1).mean() - truth.mean())),
        "train_rows_per_s": len(log.a) / taken,
        "peak_bytes": peak_bytes(),
        "brier": brier,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log")
    parser.add_argument("--rows", type=int)
    parser.add_argument("--learners", nargs="*", default=LEARNERS, choices=LEARNERS)
    given = parser.parse_args()
    for name in given.learners:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(json.dumps(pool.apply(measure, (name, given.log, given.rows))), flush=True)

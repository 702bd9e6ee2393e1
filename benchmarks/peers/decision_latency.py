# mypy: ignore-errors
"""One decision of Vowpal Wabbit in process: SquareCB over the same contexts, from text that is ready.

Run by the Python of the peers' environment, which knows nothing of this project. Reads a JSON object from standard
input (numeric and category, a list of values a round; actions, how many) and prints one JSON row with the fields of
benchmarks/decision_latency.py; it decides one at a time.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from payments_learners import example

TRAINED = 2_000


def main():
    """Trains on the first contexts, with coins for rewards, and times every one."""
    from vowpalwabbit import Workspace

    given = json.load(sys.stdin)
    model = Workspace("--cb_explore_adf --squarecb --cb_type mtr -q ca -q na -b 22 --quiet")
    draw = np.random.default_rng(0)
    texts = []
    for number, (numbers, codes) in enumerate(zip(given["numeric"], given["category"], strict=True)):
        texts.append(example(numbers, codes, given["actions"], None))
        if number < TRAINED:
            label = (int(draw.integers(given["actions"])), int(draw.integers(2)), 1 / given["actions"])
            model.learn(example(numbers, codes, given["actions"], label))
    spent = []
    for text in texts:
        start = time.perf_counter()
        model.predict(text)
        spent.append(time.perf_counter() - start)
    p50, p99 = np.quantile(spent, (0.5, 0.99)) * 1e6
    row = {"policy": "vw_squarecb", "actions": given["actions"], "p50_us": p50, "p99_us": p99}
    print(json.dumps(row | {"decisions_per_s": len(spent) / sum(spent), "encode_share": None}))


if __name__ == "__main__":
    main()

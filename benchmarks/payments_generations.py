"""Generations in the payments world: short memory makes a policy's value swing; what steadies and improves it.

Each strategy plays the same worlds: 40,000 payments a generation, feedback late and partly missing, then a refit. The
uncured ones learn from the last window alone; the remedy learns from up to twelve windows (each round with its own
propensity), tells apart what has changed from what lasts where the newest window shows a change, starts from its
parent, explores on FALCON's schedule with a floor, and is held back by the gate where it is clearly worse; the
ablations take one of these away, or add a trust region. With --break-on-day the remedy is also played by one that is
told of the break, and the summary says how far the second generation after it falls short of the level before.

The whole table takes hours; --resume goes on with the rows that --json PATH holds already, which are written after
every world.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from benchmarks import Row, options, report
from models.payments.exploration.epsilon_greedy import EpsilonGreedy
from models.payments.exploration.falcon import Falcon
from models.payments.exploration.inverse_gap import InverseGap
from models.payments.generations import FRESH, GenerationParams, play
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.boosted import BoostedParams
from models.payments.refit import RefitParams
from models.payments.world import PaymentsWorld, WorldParams
from quaestor.log.maturity import MaturityParams

MATURITY = MaturityParams(attribution_hours=72, default_reward=0.0)
MEMORY = 8
LONG_MEMORY = 12
"""Windows that the remedy may learn from: the first ones, explored evenly, are worth the most, and while nothing has
changed forgetting them costs nearly a point of the gap."""


def _params(refit: RefitParams, memory: int, **more: bool) -> GenerationParams:
    return GenerationParams(refit, MATURITY, memory=memory, **more)


_ADDITIVE = RefitParams(default_action="none", oracle=AdditiveParams(), exploration=Falcon(floor=0.002), held_out=0.15)
_BOOSTED = replace(_ADDITIVE, oracle=BoostedParams(trees=80))
_EPSILON, _FLAT, _STEEP = EpsilonGreedy(epsilon=0.1), InverseGap(gamma=200.0), InverseGap(gamma=1000.0)
TOLD = "remedy, told of the break"
REMEDY = _params(_ADDITIVE, LONG_MEMORY, adaptive=True, warm=True, gate=True)
STRATEGIES: dict[str, GenerationParams] = {
    "uncured: boosted, epsilon 0.1, last window": _params(replace(_BOOSTED, exploration=_EPSILON), 1),
    "uncured: boosted, inverse gap 1000, last window": _params(replace(_BOOSTED, exploration=_STEEP), 1),
    "uncured: additive, epsilon 0.1, last window": _params(replace(_ADDITIVE, exploration=_EPSILON), 1),
    "uncured: additive, inverse gap 1000, last window": _params(replace(_ADDITIVE, exploration=_STEEP), 1),
    "additive, inverse gap 200, eight windows": _params(
        replace(_ADDITIVE, exploration=InverseGap(gamma=200.0)), MEMORY
    ),
    "additive, inverse gap 1000, eight windows": _params(replace(_ADDITIVE, exploration=_STEEP), MEMORY),
    "remedy": REMEDY,
    "remedy with eight windows": replace(REMEDY, memory=MEMORY),
    "remedy without pooling": replace(REMEDY, memory=1),
    "remedy without adaptive memory": replace(REMEDY, adaptive=False),
    "remedy without floor": replace(REMEDY, refit=replace(_ADDITIVE, exploration=Falcon(floor=0.0))),
    "remedy without schedule": replace(REMEDY, refit=replace(_ADDITIVE, exploration=_FLAT)),
    "remedy without warm start": replace(REMEDY, warm=False),
    "remedy without gate": replace(REMEDY, gate=False),
    "remedy with weighting": replace(REMEDY, refit=replace(_ADDITIVE, weighting="inverse_propensity")),
    "remedy with trust region 0.1": replace(REMEDY, trust=0.1),
    "remedy with boosted oracle": replace(REMEDY, refit=replace(_BOOSTED, exploration=Falcon())),
}


def main() -> None:
    """Rows: strategy, seed, generation, greedy_share and deployed_share of the gap from uniform to optimal, alarms.

    A summary is printed before them.
    """
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=40_000, help="payments a generation")
    parser.add_argument("--drift", type=float, default=0.0, help="radians a day by which issuers' responses turn")
    parser.add_argument("--break-on-day", type=float, help="from then on issuers respond by another pattern")
    parser.add_argument(
        "--strategies", nargs="*", metavar="WORDS", help="only these names, or those with one of the words"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the rows of --json PATH")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="draw the mean deployed shares as SVG")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.generations, arguments.rounds = 1, 3, 8_000
    strategies, broken = dict(STRATEGIES), None
    if arguments.break_on_day is not None:
        broken = around(arguments.break_on_day, arguments.rounds)
        strategies[TOLD] = replace(REMEDY, told=max(broken[1], 2))
    chosen = [name for name in strategies if not arguments.strategies or _named(name, arguments.strategies)]
    rows: list[Row] = []
    if arguments.resume and arguments.json is not None and arguments.json.exists():
        rows = json.loads(arguments.json.read_text())
    for seed in range(arguments.seeds):
        for strategy in chosen:
            if any(row["strategy"] == strategy and row["seed"] == seed for row in rows):
                continue
            world = WorldParams(seed=seed, drift_per_day=arguments.drift, break_on_day=arguments.break_on_day)
            played = replace(strategies[strategy], generations=arguments.generations, rounds=arguments.rounds)
            rows += [
                {
                    "strategy": strategy,
                    "seed": seed,
                    "generation": generation.number,
                    "greedy_share": generation.greedy_share,
                    "deployed_share": generation.deployed_share,
                    "alarms": len(generation.alarms),
                }
                for generation in play(PaymentsWorld(world), played)
            ]
            if arguments.resume and arguments.json is not None:
                arguments.json.write_text(json.dumps(rows))
    order = [*STRATEGIES, TOLD]
    rows.sort(key=lambda row: (order.index(row["strategy"]), row["seed"], row["generation"]))
    chosen = [name for name in order if any(row["strategy"] == name for row in rows)]
    report([summary(rows, name) | (recovery(rows, name, *broken) if broken else {}) for name in chosen], None)
    report(rows, arguments.json)
    if arguments.plot is not None:
        arguments.plot.write_text(draw({strategy: mean_shares(rows, strategy) for strategy in chosen}))


def _named(name: str, words: list[str]) -> bool:
    return any(name == word if word in {*STRATEGIES, TOLD} else word in name for word in words)


def around(day: float, rounds: int) -> tuple[int, int]:
    """The last generation that is measured on payments before a break, and the first whose log lies after it."""
    at = day * 24 * WorldParams().payments_per_hour
    return int((at - FRESH) // rounds), int(np.ceil(at / rounds)) + 1


def recovery(rows: list[Row], strategy: str, last: int, first: int) -> Row:
    """How far the deployed share of the second generation after a break lies below that of the last one before it,
    mean and 95 % interval of Student's t over worlds; NaN where fewer than two worlds have both."""
    before, second = (
        {row["seed"]: row["deployed_share"] for row in rows if row["strategy"] == strategy and row["generation"] == k}
        for k in (last, first + 1)
    )
    short = np.array([before[seed] - second[seed] for seed in sorted(before.keys() & second.keys())])
    if len(short) < 2:
        return dict.fromkeys(("short", "short_lower", "short_upper"), float("nan"))
    width = float(student.isf(0.025, len(short) - 1) * short.std(ddof=1) / np.sqrt(len(short)))
    mean = float(short.mean())
    return {"short": mean, "short_lower": mean - width, "short_upper": mean + width}


def summary(rows: list[Row], strategy: str) -> Row:
    """How a strategy ends and how far it falls between two generations, on average over seeds; alarms a generation."""
    own = [row for row in rows if row["strategy"] == strategy]
    means = mean_shares(rows, strategy)
    falls = -np.diff(means, prepend=means[:1]).clip(max=0)
    return {
        "strategy": strategy,
        "worlds": len({row["seed"] for row in own}),
        "end": float(means[-1]),
        "largest_fall": float(falls.max() + 0.0),
        "alarms": float(np.mean([row["alarms"] for row in own])),
    }


def mean_shares(rows: list[Row], strategy: str) -> np.ndarray:
    """The mean deployed share of a strategy over seeds, (generation,)."""
    found = [(row["generation"], row["deployed_share"]) for row in rows if row["strategy"] == strategy]
    last = max(number for number, _ in found)
    return np.array([np.mean([share for number, share in found if number == k]) for k in range(1, last + 1)])


def draw(lines: dict[str, np.ndarray]) -> str:
    """Lines (generation,) by name as an SVG picture; uncured ones are dashed."""
    width, height, left, top = 640, 360, 50, 20
    lowest = min(float(line.min()) for line in lines.values())
    bottom = np.floor(10 * lowest) / 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 360}" height="{height + 60}" '
        'font-family="sans-serif" font-size="11">',
        f'<text x="{left}" y="12">deployed share of the gap from uniform to optimal, by generation</text>',
    ]

    def place(generation: float, share: float) -> str:
        longest = max(len(line) for line in lines.values())
        x = left + width * (generation - 1) / max(longest - 1, 1)
        return f"{x:.1f},{top + height * (1 - (share - bottom) / (1 - bottom)):.1f}"

    for share in np.arange(bottom, 1.001, 0.1):
        x, y = place(1, share).split(",")
        parts.append(f'<line x1="{x}" y1="{y}" x2="{left + width}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 35}" y="{y}">{share:.0%}</text>')
    for order, (name, line) in enumerate(lines.items()):
        hue = 360 * order / len(lines)
        points = " ".join(place(k, share) for k, share in enumerate(line, 1))
        dash = ' stroke-dasharray="4 3"' if name.startswith("uncured") else ""
        stroke = f'stroke="hsl({hue:.0f},65%,45%)" stroke-width="{3 if name == "remedy" else 1.5}"{dash}'
        parts.append(f'<polyline fill="none" points="{points}" {stroke}/>')
        row = top + 14 * (order + 1)
        parts.append(
            f'<line x1="{left + width + 15}" y1="{row - 4}" x2="{left + width + 35}" y2="{row - 4}" {stroke}/>'
        )
        parts.append(f'<text x="{left + width + 42}" y="{row}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    main()

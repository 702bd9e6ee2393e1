"""Attacks against certificates: the strongest attack found beside the bound, for every certificate in a data folder.

`--study FILE --iteration ID` also plays an inventory study with the policy of an iteration, which may come from a
smaller study of the same network: a graph policy decides for any number of products. The bound is declared as the
study says, from episodes of its own; the attacks are those of a certificate.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import Row, options, report, seconds
from flows.conclude import iteration
from flows.inventory_case import inventory_case
from flows.inventory_problem import load_problem
from flows.studies import read_inventory_study
from models.inventory.graph_export import GraphRunner
from models.smoothing.inventory import episode_costs
from models.smoothing.noise import NoiseScales
from quaestor.certification.certificate import Certificate, certify
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import read_spec
from quaestor.registry.judging import CERTIFICATE
from quaestor.settings import Settings
from quaestor.store import evidence
from quaestor.study import parse


def main() -> None:
    """Rows: study, iteration, budget, noise_scale, episodes, nominal, certified, attacked (strongest), attack, slack
    (how far the strongest attack stays from the bound, in percent of nominal), holds; the folder is QUAESTOR_DATA."""
    parser = options(__doc__)
    parser.add_argument("--study", type=Path, help="an inventory study to be played, too")
    parser.add_argument("--iteration", help="whose policy plays it")
    arguments = parser.parse_args()
    rows = [row for certificate, name in kept(Settings()) for row in rows_of(certificate, name)]
    if arguments.study:
        rows += played(arguments.study, arguments.iteration, 30 if arguments.quick else None)
    report(rows, arguments.json)
    exceeded = [row for row in rows if not row["holds"]]
    print(f"{len(rows) - len(exceeded)} of {len(rows)} bounds hold against the strongest attack.")


def kept(settings: Settings) -> Iterator[tuple[Certificate, str]]:
    """Every certificate of a data folder, with the iteration it is of."""
    with settings.store.read() as connection:
        found = evidence.of_kind(connection, CERTIFICATE)
    for name, content in found.select("iteration_id", "content").iter_rows():
        yield parse(Certificate, json.loads(content), "certificate"), name


def rows_of(certificate: Certificate, name: str) -> list[Row]:
    """A row for each budget."""
    rows = []
    for budget, bound, attacked in zip(
        certificate.params.budgets, certificate.bounds, certificate.attacked, strict=True
    ):
        tried = {each.name: each.mean for each in certificate.attacks_tried if each.budget == budget}
        tried = tried or {"the strongest tried": attacked}  # certificates once kept no others
        rows.append(
            _row(
                certificate.subject.system, name, budget, certificate.params.noise_scale, certificate.episodes,
                certificate.nominal, bound, tried, certificate.subject.quantity == "cost",
            )
        )  # fmt: skip
    return rows


def played(path: Path, name: str, episodes: int | None) -> list[Row]:
    """A study played and attacked with the policy of an iteration."""
    settings, study, candidate = Settings(), read_inventory_study(path), iteration(name)
    recorded, params = load_problem(settings, study), study.certificate
    problem = recorded.problem
    window = read_spec(candidate.read(SPEC), name).window  # type: ignore[union-attr]
    runner, scales = GraphRunner(candidate.read(GRAPH), window), NoiseScales.by_place(problem.layout, problem.scale)
    dev = episode_costs(problem.layout, runner, problem.dev, scales, 0.0, 1, study.windows.warmup, 0).mean()
    case = inventory_case(study, recorded, candidate, round(study.cap_multiple * float(dev), 2))
    values: list[np.ndarray] = []
    tried: list = []
    took = seconds(lambda: values.append(case.play(params.seed, 0, episodes or params.episodes)), 1)
    attacking = seconds(lambda: tried.extend(case.attack(params.budgets, params.seed + 1)), 1)
    print(f"{study.system}: {len(values[0])} episodes in {took:.0f} s, attacks in {attacking:.0f} s")
    bounds = certify(np.clip(values[0], 0, case.subject.cap), case.subject, params)
    return [
        _row(
            f"{study.system} (policy of {candidate.inputs.system})", name, budget, params.noise_scale, len(values[0]),
            float(values[0].mean()), bound, {each.name: each.mean for each in tried if each.budget == budget}, True,
        )
        for budget, bound in zip(params.budgets, bounds, strict=True)
    ]  # fmt: skip


def _row(
    study: str,
    name: str,
    budget: float,
    noise_scale: float,
    episodes: int,
    nominal: float,
    bound: float,
    tried: dict[str, float],
    cost: bool,
) -> Row:
    sign = 1 if cost else -1
    strongest = max(tried, key=lambda attack: sign * tried[attack])
    slack = sign * (bound - tried[strongest])
    return {
        "study": study,
        "iteration": name[:12],
        "budget": budget,
        "noise_scale": noise_scale,
        "episodes": episodes,
        "nominal": nominal,
        "certified": bound,
        "attacked": tried[strongest],
        "attack": strongest,
        "slack": 100 * slack / abs(nominal),
        "holds": slack >= 0,
    }


if __name__ == "__main__":
    main()

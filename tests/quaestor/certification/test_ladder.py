"""Verification: whatever is tampered with fails at its rung, with a sentence; looks and schema."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest

from quaestor.certification import ladder
from quaestor.certification.certificate import (
    AttackTried,
    Certificate,
    CertificateParams,
    Reading,
    Subject,
    certify,
    estimate,
    tail_bounds,
    values_digest,
)
from quaestor.certification.report import page
from quaestor.certification.schema import certificate_schema
from quaestor.certification.sequential import look_sizes, play_until_narrow
from quaestor.certification.verification import complaints
from quaestor.errors import UsageError
from quaestor.study import parse

NOW = datetime(2026, 1, 1)
SUBJECT = Subject(
    system="shops", quantity="cost", unit="cost a period", episode="50 periods", environment="simulator",
    noise="on stock", cap=100.0, runner_digest="a" * 64, data_digest="b" * 64, not_covered=("deliveries",),
    readings=(Reading("stock", "units", 5.0, 100),), configuration_digest="c" * 64,
)  # fmt: skip
PARAMS = CertificateParams(noise_scale=1.0, budgets=(0.5, 1.0), episodes=600)


def play(seed: int, first: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(16, 2.5, 1000)[first : first + count].clip(0, 100)


def issued(seed: int = 7, **changes: Any) -> tuple[Certificate, np.ndarray]:
    values = play(seed, 0, 600)
    made = Certificate(
        subject=SUBJECT, params=PARAMS, bounds=certify(values, SUBJECT, PARAMS),
        estimates=estimate(values, SUBJECT, PARAMS), attacked=(42.0, 44.0),
        attacks="constant", nominal=float(values.mean()),
        unsmoothed=39.0, beyond_cap=0.0, episodes=600, costs_digest=values_digest(values), code="test",
        beyond_cap_bounds=tail_bounds(values, SUBJECT, PARAMS),
        issued_at="2025-12-31T00:00:00", expires_at="2026-03-01T00:00:00", noise_seed=seed,
    )  # fmt: skip
    return replace(made, **changes), values


def test_an_honest_certificate_passes_every_rung() -> None:
    certificate, values = issued()
    assert complaints(certificate, values, NOW) == []
    assert ladder.identity_finding(certificate, SUBJECT).holds
    assert ladder.same_seeds_finding(values[100:200], play(certificate.noise_seed, 100, 100), 100).holds
    assert ladder.issued_finding(True).holds
    assert ladder.fresh_seeds_finding(certificate, play(99, 0, 200)).holds
    tried = [AttackTried("bias", 1.0, 45.0, 0.5, 100)]
    assert ladder.attack_finding(certificate, tried).holds
    assert ladder.noise_finding(np.random.default_rng(0).standard_normal(5000)).holds


@pytest.mark.parametrize("name", ["runner_digest", "data_digest", "configuration_digest"])
def test_another_policy_data_or_configuration_fails_at_rung_1(name: str) -> None:
    certificate, _ = issued()
    finding = ladder.identity_finding(certificate, replace(SUBJECT, **{name: "f" * 64}))
    assert (finding.rung, finding.holds) == (1, False)
    assert name.split("_")[0].replace("runner", "policy") in finding.sentence


def test_changed_costs_bounds_means_and_attacks_fail_at_rung_2() -> None:
    certificate, values = issued()
    other = values.copy()
    other[3] += 1e-7
    assert "not those" in complaints(certificate, other, NOW)[0]
    better = replace(certificate, bounds=(certificate.bounds[0] - 2e-9, certificate.bounds[1]))
    assert "bound at budget 0.5" in complaints(better, values, NOW)[0]
    assert "nominal" in complaints(replace(certificate, nominal=certificate.nominal - 1e-6), values, NOW)[0]
    assert "estimate" in complaints(replace(certificate, estimates=(0.0, 0.0)), values, NOW)[0]
    assert "beyond the bound" in complaints(replace(certificate, attacked=(42.0, 99.0)), values, NOW)[0]
    assert "2 budgets" in complaints(replace(certificate, bounds=certificate.bounds[:1]), values, NOW)[0]
    assert "at the cap" in complaints(replace(certificate, beyond_cap=0.5), values, NOW)[0]
    assert "tail bound" in complaints(replace(certificate, beyond_cap_bounds=(0.0, 0.0)), values, NOW)[0]
    loose = replace(certificate, params=replace(PARAMS, alpha=0.1))
    assert complaints(loose, values, NOW)


def test_invented_costs_or_another_seed_fail_at_rung_3() -> None:
    certificate, values = issued()
    lower = values * 0.9
    forged, _ = issued(
        bounds=certify(lower, SUBJECT, PARAMS), estimates=estimate(lower, SUBJECT, PARAMS),
        beyond_cap_bounds=tail_bounds(lower, SUBJECT, PARAMS),
        nominal=float(lower.mean()), costs_digest=values_digest(lower), attacked=(37.0, 38.0),
    )  # fmt: skip
    assert complaints(forged, lower, NOW) == []
    assert not ladder.same_seeds_finding(lower[:100], play(forged.noise_seed, 0, 100)).holds
    other = ladder.same_seeds_finding(values[100:200], play(certificate.noise_seed + 1, 100, 100), 100)
    assert (other.rung, other.holds) == (3, False)
    assert "episode 101 " in other.sentence
    assert (ladder.issued_finding(False).rung, ladder.issued_finding(False).holds) == (3, False)


def test_chosen_seeds_fail_at_rung_4() -> None:
    """Six hundred episodes picked from many by their cost repeat from their seeds, and yet fresh ones cost more."""
    picked = np.sort(np.random.default_rng(0).gamma(16, 2.5, 3000))[:600]
    certificate, _ = issued(nominal=float(picked.mean()))
    finding = ladder.fresh_seeds_finding(certificate, play(99, 0, 200))
    assert (finding.rung, finding.holds) == (4, False)


def test_an_attack_beyond_the_bound_fails_at_rung_5() -> None:
    certificate, _ = issued()
    tried = [AttackTried("bias", 1.0, certificate.bounds[1] + 10, 0.5, 100)]
    finding = ladder.attack_finding(certificate, tried)
    assert (finding.rung, finding.holds) == (5, False)
    assert "'bias'" in finding.sentence


@pytest.mark.parametrize("factor", [0.0, 0.8, 1.2])
def test_weaker_noise_in_deployment_fails_at_rung_6(factor: float) -> None:
    assert not ladder.noise_finding(factor * np.random.default_rng(0).standard_normal(5000)).holds


def test_looking_early_costs_alpha_and_stops_where_it_is_narrow() -> None:
    looking = replace(PARAMS, episodes=800, looks=3, width=1e9)
    assert look_sizes(looking) == (200, 400, 800)
    assert looking.alpha_each == pytest.approx(0.05 / 3)
    assert len(play_until_narrow(lambda first, count: play(1, first, count), SUBJECT, looking)) == 200
    never = replace(looking, width=1e-9)
    assert len(play_until_narrow(lambda first, count: play(1, first, count), SUBJECT, never)) == 800
    together = replace(PARAMS, simultaneous=True)
    assert together.alpha_each == pytest.approx(0.025)
    assert replace(together, method="dkw").alpha_each == 0.05


def test_stopping_early_keeps_the_level() -> None:
    """Stopping at the look that pleases fails in at most 5 % of 1,000 runs; the true attacked mean is 45."""
    looking = CertificateParams(1.0, (0.5,), method="dkw", episodes=400, looks=3, width=6.0)
    draw, failed = np.random.default_rng(8), 0
    for _ in range(1000):
        costs = np.clip(draw.normal(40, 10, 400), 0, 100)
        values = play_until_narrow(lambda first, count, costs=costs: costs[first : first + count], SUBJECT, looking)
        failed += certify(values, SUBJECT, looking)[0] < 44.99
    assert failed <= 71


def test_rewards_are_bounded_from_below() -> None:
    values, subject = play(7, 0, 600), replace(SUBJECT, quantity="reward")
    bounds = certify(values, subject, PARAMS)
    assert bounds[1] < bounds[0] < values.mean()
    mirrored = certify(100.0 - values, SUBJECT, PARAMS)
    assert bounds == pytest.approx([100.0 - each for each in mirrored], abs=1e-9)


def test_what_is_declared_must_make_sense() -> None:
    for changes in ({"method": "best"}, {"draws": 4}, {"method": "per-trace"}, {"looks": 3}, {"alpha": 0.9}):
        with pytest.raises(ValueError, match=r"bound|draws|looks|alpha"):
            replace(PARAMS, **changes)
    with pytest.raises(UsageError, match="finite"):
        certify(np.array([1.0, np.inf]), SUBJECT, PARAMS)
    with pytest.raises(UsageError, match="20 traces"):
        certify(np.ones(40), SUBJECT, replace(PARAMS, method="per-trace", draws=4, episodes=40))


def test_the_schema_names_every_field_and_the_json_reads_back() -> None:
    certificate, _ = issued()
    schema = certificate_schema()
    assert set(schema["properties"]) == set(certificate.as_json())
    assert set(schema["$defs"]["Subject"]["properties"]) == set(certificate.as_json()["subject"])
    assert parse(Certificate, json.loads(json.dumps(certificate.as_json())), "certificate") == certificate


def test_the_report_fits_a_page_and_says_what_counts() -> None:
    certificate, _ = issued()
    made = page(replace(certificate, subject=replace(SUBJECT, system="<shops>")), "d" * 64)
    assert "<script" not in made
    assert "http" not in made
    for said in ("&lt;shops&gt;", "deliveries", f"{certificate.bounds[1]:.5g}", "<svg", "one entry, once"):
        assert said in made
    assert certificate.price_of_smoothing == pytest.approx(certificate.nominal / 39.0 - 1)
    reading = SUBJECT.readings[0]
    assert (reading.one_shot(1.0), reading.spread(1.0)) == (5.0, 0.5)

"""Turns a certificate into frames: what is bounded over budgets, and what the bound rests on."""

from __future__ import annotations

import polars as pl

from quaestor.certification.certificate import Certificate
from quaestor.certification.report import beyond, certificate_digest
from quaestor.ope.interval import Interval

REACH = 1.96

BOUND, ATTACK, NOMINAL, BARE, PLUG_IN = (
    "certified bound",
    "strongest attack tried",
    "nominal (smoothed, no attack)",
    "unsmoothed, no attack",
    "bound's estimate (no certificate)",
)


def curves(certificate: Certificate) -> pl.DataFrame:
    """Every line over the budgets: budget, line, value."""
    budgets = certificate.params.budgets
    flat = (certificate.nominal,) * len(budgets), (certificate.unsmoothed,) * len(budgets)
    lines = {
        BOUND: certificate.bounds,
        ATTACK: certificate.attacked,
        NOMINAL: flat[0],
        BARE: flat[1],
        PLUG_IN: certificate.estimates,
    }
    rows = [
        (budget, name, value) for name, found in lines.items() for budget, value in zip(budgets, found, strict=False)
    ]
    return pl.DataFrame(rows, schema={"budget": pl.Float64, "line": pl.String, "value": pl.Float64}, orient="row")


def attacks(certificate: Certificate) -> pl.DataFrame:
    """Every attack that was tried, with its 95 % interval over fresh episodes: budget, attack, mean, lower, upper."""
    rows = [
        (each.budget, each.name, each.mean, each.mean - REACH * each.error, each.mean + REACH * each.error)
        for each in certificate.attacks_tried
    ]
    names = {"budget": pl.Float64, "attack": pl.String, "mean": pl.Float64, "lower": pl.Float64, "upper": pl.Float64}
    return pl.DataFrame(rows, schema=names, orient="row")


def nominal(certificate: Certificate, interval: Interval | None) -> pl.DataFrame:
    """The interval of the mean without attack over the drawn budgets: budget, lower, upper; empty where none is
    known."""
    budgets = sorted(certificate.params.budgets) if interval is not None else ()
    rows = [(budget, interval.lower, interval.upper) for budget in budgets if interval is not None]
    return pl.DataFrame(rows, schema=dict.fromkeys(("budget", "lower", "upper"), pl.Float64), orient="row")


def bounds(certificate: Certificate) -> pl.DataFrame:
    """The bound at each budget, its distance from nominal, and the strongest attack tried."""
    rows = [
        {
            "budget": budget,
            "certified bound": bound,
            "distance from nominal": f"{bound / certificate.nominal - 1:+.1%}" if certificate.nominal else "—",
            "mean under the strongest attack tried": attacked,
        }
        for budget, bound, attacked in zip(
            certificate.params.budgets, certificate.bounds, certificate.attacked, strict=False
        )
    ]
    return pl.DataFrame(rows)


def readings(certificate: Certificate) -> pl.DataFrame:
    """What each budget means in the unit of what is seen: one entry misreported once, or every entry by as much."""
    rows = [
        {
            "what is misreported": reading.name,
            "unit": reading.unit,
            "entries an episode": reading.entries,
            "budget": budget,
            "one shot: one entry, once": reading.one_shot(budget),
            "spread: every entry of an episode": reading.spread(budget),
        }
        for reading in certificate.subject.readings
        for budget in certificate.params.budgets
    ]
    return pl.DataFrame(rows)


def facts(certificate: Certificate) -> pl.DataFrame:
    """What the bound rests on and what identifies it: fact, value."""
    subject, params = certificate.subject, certificate.params
    told = {
        "digest of this certificate": certificate_digest(certificate),
        "quantity": f"{subject.quantity}, {subject.unit}",
        "episode": subject.episode,
        "played in": subject.environment,
        "noise": subject.noise,
        "noise scale σ": f"{params.noise_scale:g}",
        "method": f"{params.method}, α = {params.alpha:g} for "
        f"{'all budgets together' if params.simultaneous else 'each budget by itself'}",
        "episodes played": f"{certificate.episodes:,} ({params.draws} a trace, seed {certificate.noise_seed})",
        "declared before playing at": f"{certificate.declared_at} UTC" if certificate.declared_at else "—",
        "attempt": f"{certificate.attempt} for this policy",
        "price of smoothing": f"{certificate.price_of_smoothing:+.1%} against the same policy without noise",
        "cap": f"{subject.cap:g}; beyond it {beyond(certificate)}",
        "attacks tried": certificate.attacks,
        "digest of the episode values": certificate.costs_digest,
        "digest of the policy": subject.runner_digest,
        "digest of the data": subject.data_digest,
        "window of the data": subject.data_window or "—",
        "digest of the configuration": subject.configuration_digest or "—",
        "code": certificate.code,
        "issued at": f"{certificate.issued_at} UTC",
        "expires at": f"{certificate.expires_at} UTC",
    }
    return pl.DataFrame({"fact": list(told), "value": list(told.values())})

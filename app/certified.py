"""Turns a certificate into frames: what is bounded over budgets, and what the bound rests on."""

from __future__ import annotations

import polars as pl

from quaestor.certification.certificate import Certificate

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


def facts(certificate: Certificate) -> pl.DataFrame:
    """What the bound rests on and what identifies it: fact, value."""
    subject, params = certificate.subject, certificate.params
    told = {
        "quantity": f"{subject.quantity}, {subject.unit}",
        "episode": subject.episode,
        "played in": subject.environment,
        "noise": subject.noise,
        "noise scale σ": f"{params.noise_scale:g}",
        "method": f"{params.method}, α = {params.alpha:g} for each budget by itself",
        "episodes played": f"{certificate.episodes:,} (seed {params.seed})",
        "cap": f"{subject.cap:g}; {certificate.beyond_cap:.1%} of the episodes lay beyond it",
        "attacks tried": certificate.attacks,
        "digest of the episode values": certificate.costs_digest,
        "digest of the policy": subject.runner_digest,
        "digest of the data": subject.data_digest,
        "code": certificate.code,
        "issued at": f"{certificate.issued_at} UTC",
        "expires at": f"{certificate.expires_at} UTC",
    }
    return pl.DataFrame({"fact": list(told), "value": list(told.values())})

"""A certificate on one printable page: a sentence, the curve, its readings, what it rests on. No script, no network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from html import escape

from quaestor.certification.certificate import Certificate

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 260, 70, 40
LINES = (
    ("certified bound", "#D55E00", ""),
    ("strongest attack tried", "#E69F00", "6 3"),
    ("nominal", "#7A7A7A", ""),
    ("unsmoothed", "#0072B2", "2 3"),
)
STYLE = (
    "body{font:13px/1.45 sans-serif;max-width:190mm;margin:8mm auto;color:#111}h1{font-size:19px}h2{font-size:14px;"
    "margin:10px 0 4px}table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #bbb;padding:2px 6px;"
    "text-align:left;vertical-align:top}td.n,th.n{text-align:right}code{font-size:11px;overflow-wrap:anywhere}"
    "@page{size:A4;margin:10mm}"
)


def page(certificate: Certificate, iteration_id: str, remark: str | None = None) -> str:
    """The report as one HTML page; a remark, such as that its data changed since, stands under the sentence."""
    subject, params = certificate.subject, certificate.params
    side = "at most" if subject.quantity == "cost" else "at least"
    largest, bound = max(zip(params.budgets, certificate.bounds, strict=True))
    level = "all budgets together" if params.simultaneous else "each budget by itself"
    sentence = (
        f"Against every adaptive attack of total ℓ2 size {largest:g} or less on what the policy sees in an episode, "
        f"the mean {subject.quantity} is {side} {bound:.5g} {subject.unit}; "
        f"without attack it is {certificate.nominal:.5g}. "
        f"Confidence {1 - params.alpha:.0%}, {level}."
    )
    facts = (
        ("Iteration", iteration_id),
        ("Certificate", certificate_digest(certificate)),
        ("Episode", subject.episode),
        ("Played in", f"{subject.environment}; {subject.data_window}"),
        ("Noise", f"σ = {params.noise_scale:g}, {subject.noise}"),
        (
            "Method",
            f"{params.method}, α = {params.alpha:g}, cap {subject.cap:g}, declared {certificate.declared_at} UTC",
        ),
        ("Episodes", f"{certificate.episodes:,} ({params.draws} a trace), seed {certificate.noise_seed}"),
        ("Attempt", f"{certificate.attempt} of this policy"),
        ("Price of smoothing", f"{certificate.price_of_smoothing:+.1%} against the same policy without noise"),
        ("Beyond the cap", beyond(certificate)),
        ("Attacks", certificate.attacks),
        ("Policy", subject.runner_digest),
        ("Data", subject.data_digest),
        ("Configuration", subject.configuration_digest),
        ("Episode values", certificate.costs_digest),
        ("Code", certificate.code),
        ("Valid", f"{certificate.issued_at} to {certificate.expires_at} UTC"),
    )
    limits = "".join(f"<li>{escape(limit)}</li>" for limit in subject.not_covered)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Certificate {escape(iteration_id[:12])}</title>'
        f"<style>{STYLE}</style><h1>Certificate: {escape(subject.system)}</h1><p>{escape(sentence)}</p>"
        f"{f'<p><strong>{escape(remark)}</strong></p>' if remark else ''}"
        f"{curve(certificate)}{_bounds(certificate)}{_readings(certificate)}"
        f"<h2>Not covered</h2><ul>{limits}</ul><h2>What it rests on</h2><table>"
        + "".join(
            f"<tr><th>{escape(name)}</th><td><code>{escape(value)}</code></td></tr>" for name, value in facts if value
        )
        + "</table></html>"
    )


def certificate_digest(certificate: Certificate) -> str:
    """The digest of the whole certificate: what a printed page is known by."""
    content = json.dumps(certificate.as_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def beyond(certificate: Certificate) -> str:
    """How often values lie above the cap, without attack and at most with one, as a sentence's part."""
    told = f"{certificate.beyond_cap:.2%} of episodes without attack"
    pairs = zip(certificate.params.budgets, certificate.beyond_cap_bounds, strict=False)
    return "; at most ".join((told, *(f"{share:.2%} at budget {budget:g}" for budget, share in pairs)))


def curve(certificate: Certificate) -> str:
    """The bound over budgets with nominal, unsmoothed and strongest attack, as an SVG picture."""
    budgets = certificate.params.budgets
    count = len(budgets)
    series = (
        certificate.bounds,
        certificate.attacked,
        (certificate.nominal,) * count,
        (certificate.unsmoothed,) * count,
    )
    values = [value for line in series for value in line]
    low, high = min(values), max(values)
    spare = 0.08 * (high - low) or 1.0
    low, high, furthest = low - spare, high + spare, max(budgets) or 1.0

    def place(budget: float, value: float) -> str:
        x = LEFT + (WIDTH - LEFT - 10) * budget / furthest
        return f"{x:.1f},{10 + (HEIGHT - BOTTOM - 10) * (high - value) / (high - low):.1f}"

    drawn = []
    for index, ((name, colour, dash), line) in enumerate(zip(LINES, series, strict=True)):
        order = sorted(range(min(count, len(line))), key=lambda each: budgets[each])
        points = [(0.0, line[0])] if index >= 2 else []
        points += [(budgets[each], line[each]) for each in order]
        path = " ".join(place(*point) for point in points)
        drawn.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        drawn.append(
            f'<text x="{LEFT + 8 + 145 * index}" y="{HEIGHT - 4}" font-size="11" fill="{colour}">{escape(name)}</text>'
        )
    for value in (low + spare, high - spare):
        x, y = place(0.0, value).split(",")
        drawn.append(f'<text x="{float(x) - 6:.1f}" y="{y}" font-size="11" text-anchor="end">{value:.4g}</text>')
    for budget in budgets:
        x = place(budget, low).split(",")[0]
        drawn.append(f'<text x="{x}" y="{HEIGHT - 22}" font-size="11" text-anchor="end">{budget:g}</text>')
    axes = f'<path d="M{LEFT} 10V{HEIGHT - BOTTOM}H{WIDTH - 10}" fill="none" stroke="#111"/>'
    told = "Certified bound over attack budgets, with nominal, unsmoothed and strongest attack"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{told}">{axes}{"".join(drawn)}</svg>'


def _bounds(certificate: Certificate) -> str:
    head = ("budget", "certified bound", "estimate", "strongest attack tried", "from nominal")
    rows = [
        (f"{budget:g}", f"{bound:.6g}", f"{estimated:.6g}", f"{attacked:.6g}", f"{_change(bound, certificate):+.1%}")
        for budget, bound, estimated, attacked in zip(
            certificate.params.budgets, certificate.bounds, certificate.estimates, certificate.attacked, strict=False
        )
    ]
    return _table(head, rows)


def _readings(certificate: Certificate) -> str:
    if not certificate.subject.readings:
        return ""
    head = ("what is misreported", "unit", "budget", "one entry, once", "every entry")
    rows = [
        (each.name, each.unit, f"{budget:g}", f"{each.one_shot(budget):.3g}", f"{each.spread(budget):.3g}")
        for each in certificate.subject.readings
        for budget in certificate.params.budgets
    ]
    return "<h2>What the budgets mean</h2>" + _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _change(bound: float, certificate: Certificate) -> float:
    return bound / certificate.nominal - 1 if certificate.nominal else 0.0

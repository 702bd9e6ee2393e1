"""One iteration's decision on a page to print: sentence, verdict, checks, changes, digests. No script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

import polars as pl

from app.checks import Check
from app.queries.iterations import Iteration
from app.style import STATUS_SIGNS, WORD_SIGNS, figure, shown, word_of
from quaestor.registry.canonical import digest_of

_STYLE = (
    "body{font:15px/1.45 sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1f2328;background:#fff}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}th,td{border:1px solid #bbb;padding:.25rem .5rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#f4f5f7}code{font-size:.85em}"
    "@media print{body{margin:0}}"
)


def decision_page(
    iteration: Iteration, found: Sequence[Check], changes: pl.DataFrame, entries: pl.DataFrame, printed_at: datetime
) -> str:
    """The page as HTML. changes: what, parent, this; entries: the iteration's audit entries, newest first."""
    report = iteration.report
    facts: list[tuple[str, str]] = [
        ("iteration", report.iteration_id),
        ("parent", iteration.parent_id or "none"),
        ("compared with", report.incumbent_id or "nothing"),
        ("digest of the data it learnt from", str(iteration.data.get("digest", "unknown"))),
        ("data up to", str(iteration.data.get("as_of", "unknown"))),
        ("code", str(iteration.manifest.get("code", "unknown"))),
        ("certificate (digest of its content)", certificate_digest(iteration)),
        ("bundle", report.bundle or "not exported"),
    ]
    checks = [(f"{STATUS_SIGNS[check.status]} {check.name}", check.status.value, check.sentence) for check in found]
    moves = [
        (f"{row['entered_at']:%Y-%m-%d %H:%M:%S}", row["action"], row["actor"], row["reason"])
        for row in entries.iter_rows(named=True)
    ]
    parts = [
        f"<h1>{_text(report.sentence())}</h1>",
        f"<p>Printed {printed_at:%Y-%m-%d %H:%M} UTC. Stage: {_text(report.stage)}.</p>",
        "<h2>Verdict and reasons</h2>",
        "<ul>" + "".join(f"<li>{_text(reason)}</li>" for reason in report.reasons or ("No verdict yet.",)) + "</ul>",
        *_evaluated(iteration),
        "<h2>Checks of the evidence</h2>",
        _table(("check", "status", "why"), checks),
        "<h2>What changed from the parent</h2>",
        _table(tuple(changes.columns), changes.rows()) if len(changes) else "<p>Nothing, or it has no parent.</p>",
        "<h2>Audit entries</h2>",
        _table(("entered at (UTC)", "action", "actor", "reason"), moves),
        "<h2>What it rests on</h2>",
        _table(("what", "value"), facts),
    ]
    title = _text(f"Decision on iteration {iteration.label} of {report.system}")
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>'


def certificate_digest(iteration: Iteration) -> str:
    """The digest of the certificate's whole content, "none" where there is no certificate."""
    certificate = iteration.report.certificate
    return digest_of(certificate.as_json()) if certificate else "none"


def _evaluated(iteration: Iteration) -> list[str]:
    evaluation = iteration.report.evaluation
    if evaluation is None:
        return []
    value, lower, upper = evaluation.gain
    word = word_of(lower, upper)
    rows = [
        ("gain", f"{figure(value)} {evaluation.unit}"),
        (f"{evaluation.difference.confidence:.0%} interval", f"{figure(lower)} to {figure(upper)}"),
        ("in a word", f"{WORD_SIGNS[word]} {word}"),
        ("gate asks for more than", f"{iteration.margin:g}"),
        ("estimator", evaluation.estimator),
        ("on", evaluation.evaluated_on),
        ("rounds or scenarios compared", f"{evaluation.pairs:,}"),
        ("interval by", evaluation.difference.method),
    ]
    if evaluation.overlap is not None:
        rows.append(("effective size, in rounds", f"{evaluation.overlap.effective_size:,.0f}"))
    return ["<h2>Evaluation</h2>", _table(("figure", "value"), rows)]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    top = "".join(f"<th>{_text(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{_text(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _text(text: str) -> str:
    return escape(shown(text))

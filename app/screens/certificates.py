"""Certificates: how much worse an iteration can get under attack, with what confidence, and what is not covered."""

from __future__ import annotations

import shlex

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from app import certified, episodes, panels
from app.charts import certificates as charts
from app.checks import checks, stops
from app.drawing import draw
from app.guard import nothing_yet, present, reading
from app.links import choose_iteration
from app.queries.certificates import stale_by
from app.queries.evidence import evidence_of
from app.queries.iterations import Iteration
from app.queries.overview import overview
from app.style import figure, plain, short
from quaestor.certification.certificate import Certificate
from quaestor.certification.report import page
from quaestor.clock import utc_now

EPISODES_LISTED = 1_000


def show() -> None:
    """One certificate."""
    store = reading(overview)
    known = tuple(each for each in store.iterations if each.report.certificate is not None)
    if not known:
        nothing_yet("There is no certificate yet.")
        return
    chosen, _ = choose_iteration("certificates", known)
    certificate = chosen.report.certificate
    assert certificate is not None
    stale = reading(lambda: stale_by(chosen.report.system, chosen.iteration_id))
    found = checks(chosen, store.newest, stale, utc_now())
    st.header(plain(sentence(certificate)), anchor=False)
    panels.strip(found)
    if told := size(certificate):
        panels.say(told)
    validity(certificate)
    if stale:
        st.warning(plain(stale.sentence))
    panels.link(chosen)
    played = episodes.episodes(certificate)
    bounded(certificate, played, bool(stops(found)))
    if certificate.subject.readings:
        st.subheader("What the budgets mean", anchor=False)
        panels.table(certified.readings(certificate), "Each budget as one shot and spread, in the unit of what is seen")
    st.subheader("Not covered", anchor=False)
    for limit in certificate.subject.not_covered:
        panels.say(f"• {limit}")
    st.subheader("What the bound rests on", anchor=False)
    panels.table(certified.facts(certificate), "Method, confidence, episodes, cap, noise, digests and dates")
    below(chosen, certificate, played, store.snapshot)
    st.download_button(
        "One-page report",
        page(certificate, chosen.iteration_id, stale.sentence if stale else None),
        file_name=f"certificate-{short(chosen.iteration_id)}.html",
        mime="text/html",
        help="A page to print: sentence, curve, readings, limits and digests, that of the certificate first.",
    )


def bounded(certificate: Certificate, played: NDArray[np.float64] | None, muted: bool) -> None:
    """The bound over budgets beside what it is compared with; in grey where a check says stop."""
    subject, tried = certificate.subject, certified.attacks(certificate)
    around = episodes.nominal_interval(certificate, played) if played is not None else None
    curves, nominal = certified.curves(certificate), certified.nominal(certificate, around)
    draw(
        charts.certificate_chart(curves, tried, nominal, subject.quantity, subject.unit, muted),
        alt="Certified bound over attack budgets, with nominal, unsmoothed and strongest attack",
    )
    if muted:
        st.caption("In grey: a check of the evidence says stop, and these figures cannot be relied on.")
    panels.table(certified.bounds(certificate), "The bound at each budget")
    if not tried.is_empty():
        with st.expander(f"Every attack that was tried ({len(tried)}), with its interval"):
            panels.table(tried, "Mean under each attack at each budget, with its 95 % interval over fresh episodes")
    shaded = (
        f"Shaded: the {around.confidence:.0%} interval of the mean without attack, {figure(around.lower)} to "
        f"{figure(around.upper)}, over traces. "
        if around
        else "The episodes are not in this data folder, so that the mean without attack has no interval here. "
    )
    st.caption(
        plain(
            f"Noise: {subject.noise}. Budgets are in the same unit. The bound is itself the end of an interval: no "
            f"attack can lead beyond it. The strongest one tried may lie far from it. {shaded}Unsmoothed is one play "
            "of every trace."
        )
    )


def below(chosen: Iteration, certificate: Certificate, played: NDArray[np.float64] | None, snapshot: str) -> None:
    """The command that tells the certificate again, and the episodes that it was computed from."""
    asked = f"quaestor iterations --system {shlex.quote(chosen.report.system)} --json"
    if chosen.report.bundle:
        asked += f"\nquaestor verify {shlex.quote(chosen.report.bundle)}"
    rows = [panels.Rows("what was kept of its iteration", lambda: evidence_of(chosen.iteration_id))]
    if played is not None:
        told = f"the first {EPISODES_LISTED} of {certificate.episodes:,} episodes that were played"
        rows.append(panels.Rows(told, lambda: episodes.rows(certificate, played, EPISODES_LISTED)))
    panels.source("this certificate", asked, snapshot, rows)


def sentence(certificate: Certificate) -> str:
    """The certificate in a sentence: its largest budget, bound and confidence."""
    params, subject = certificate.params, certificate.subject
    budget, bound = max(zip(params.budgets, certificate.bounds, strict=True))
    side = "at most" if subject.quantity == "cost" else "at least"
    return (
        f"{subject.system}: against every attack of total size {budget:g} or less the mean {subject.quantity} is "
        f"{side} {figure(bound)} {subject.unit} ({1 - params.alpha:.0%} confidence); without attack it is "
        f"{figure(certificate.nominal)}."
    )


def validity(certificate: Certificate) -> None:
    """Whether the certificate still counts."""
    if certificate.expires_at <= utc_now().isoformat():
        st.warning(f"This certificate expired at {_moment(certificate.expires_at)} and no longer counts.")
    else:
        st.text(f"Issued at {_moment(certificate.issued_at)}, valid until {_moment(certificate.expires_at)}.")


def size(certificate: Certificate) -> str | None:
    """The largest budget in a unit that a person knows, by example; None where there is none."""
    if not certificate.subject.readings:
        return None
    budget, reading = max(certificate.params.budgets), certificate.subject.readings[0]
    once, each = figure(reading.one_shot(budget)), figure(reading.spread(budget))
    return (
        f"For scale: a total size of {budget:g} is {reading.name} wrong by {once} ({reading.unit}) once, or by {each} "
        f"in each of {reading.entries:,} entries of an episode."
    )


def _moment(told: str) -> str:
    return f"{told[:16].replace('T', ' ')} UTC"


if __name__ == "__main__":
    present(show)

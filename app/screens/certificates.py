"""Certificates: how much worse an iteration can get under attack, with what confidence, and what is not covered."""

from __future__ import annotations

import shlex

import streamlit as st

from app import certified, panels
from app.charts import certificates as charts
from app.guard import nothing_yet, present, reading
from app.links import choose_iteration
from app.queries.certificates import stale_by
from app.queries.iterations import all_iterations
from app.queries.store import state
from app.style import figure, plain, short
from quaestor.certification.certificate import Certificate
from quaestor.certification.report import page
from quaestor.clock import utc_now


def show() -> None:
    """One certificate."""
    known = tuple(each for each in reading(all_iterations) if each.report.certificate is not None)
    if not known:
        nothing_yet("There is no certificate yet.")
        return
    chosen, _ = choose_iteration("certificates", known)
    certificate = chosen.report.certificate
    assert certificate is not None
    stale = reading(lambda: stale_by(chosen.report.system, chosen.iteration_id))
    st.header(plain(sentence(certificate)), anchor=False)
    validity(certificate)
    if stale:
        st.warning(plain(stale))
    panels.link(chosen)
    subject = certificate.subject
    tried = certified.attacks(certificate)
    drawn = charts.certificate_chart(certified.curves(certificate), tried, subject.quantity, subject.unit)
    st.altair_chart(drawn, alt="Certified bound over attack budgets, with nominal, unsmoothed and strongest attack")
    panels.table(certified.bounds(certificate), "The bound at each budget")
    if not tried.is_empty():
        with st.expander(f"Every attack that was tried ({len(tried)}), with its interval"):
            panels.table(tried, "Mean under each attack at each budget, with its 95 % interval over fresh episodes")
    st.caption(
        plain(
            f"Noise: {subject.noise}. Budgets are in the same unit. No attack can lead beyond the bound; the strongest "
            "one tried may lie far from it."
        )
    )
    if subject.readings:
        st.subheader("What the budgets mean", anchor=False)
        panels.table(certified.readings(certificate), "Each budget as one shot and spread, in the unit of what is seen")
    st.subheader("Not covered", anchor=False)
    for limit in subject.not_covered:
        st.text(f"• {limit}")
    st.subheader("What the bound rests on", anchor=False)
    panels.table(certified.facts(certificate), "Method, confidence, episodes, cap, noise, digests and dates")
    asked = f"quaestor iterations --system {shlex.quote(chosen.report.system)} --json"
    if chosen.report.bundle:
        asked += f"\nquaestor verify {shlex.quote(chosen.report.bundle)}"
    panels.source("this certificate", asked, reading(state))
    st.download_button(
        "One-page report",
        page(certificate, chosen.iteration_id, stale),
        file_name=f"certificate-{short(chosen.iteration_id)}.html",
        mime="text/html",
        help="A page to print: sentence, curve, readings, limits and digests, that of the certificate first.",
    )


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
        st.warning(f"This certificate expired at {certificate.expires_at} UTC and no longer counts.")
    else:
        st.text(f"Issued at {certificate.issued_at} UTC, valid until {certificate.expires_at} UTC.")


if __name__ == "__main__":
    present(show)

"""The page: one file, nothing from elsewhere, and texts of strangers that stay texts."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from halo_otel.model.finding import Effect, Finding, Severity, Status
from halo_otel.model.report import Report
from halo_otel.reports import html
from tests.reports.test_markdown import INJECTIONS, poisoned

many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
HOSTILE = [
    *INJECTIONS,
    "<script>alert(1)</script>",
    "</summary></details></body><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus=alert(1) x='",
    "</style><style>@import url(https://evil.example)</style>",
    "</title><script src=//evil.example></script>",
    "<!-- -->--><svg/onload=alert(1)>",
    "<![CDATA[<b>]]>",
    "&lt;script&gt; &#60;b&#62; &amp;",
    "javascript:alert(1)",
    "\x00<\x00script>",
    "\ud800\u202e\x1b[31m",
]
VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a parser sees: elements with their attributes in order, and all text outside of the style."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self.style = ""
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == [], "elements that are not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.style += data
        else:
            self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")


def test_it_says_what_a_person_needs(report: Report) -> None:
    page = Page(html.render(report))
    finding = report.findings[0]
    for told in (finding.title, finding.summary, finding.recommendation, finding.fingerprint):
        assert told in page.text
    assert page.text.index("Fix first") < page.text.index("Findings")
    assert "saves up to 41,250 tokens, 0.62 USD, 93.4 s, 7.2 failed traces" in page.text
    for trace in finding.traces:
        assert trace in page.text
    for evidence in finding.evidence:
        assert evidence.note in page.text
    assert "retry_storm did not judge" in page.text


def test_it_needs_nothing_from_elsewhere_and_runs_nothing(report: Report) -> None:
    source = html.render(report)
    page = Page(source)
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg"}
    attributes = {key for _, attrs in page.elements for key, _ in attrs}
    assert not {key for key in attributes if key.startswith("on")} | attributes & {"src", "style"}
    links = {value or "" for _, attrs in page.elements for key, value in attrs if key == "href"}
    assert all(link.startswith("#finding-") for link in links)
    assert "url(" not in page.style
    assert "@import" not in page.style


def test_its_policy_allows_its_own_style_only(report: Report) -> None:
    page = Page(html.render(report))
    [policy] = [
        dict(attrs)["content"] or ""
        for name, attrs in page.elements
        if name == "meta" and ("http-equiv", "Content-Security-Policy") in attrs
    ]
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_it_is_light_and_dark(report: Report) -> None:
    page = Page(html.render(report))
    assert "color-scheme: light dark" in page.style
    assert "prefers-color-scheme: dark" in page.style


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_it_quotes_the_page_keeps_its_shape(report: Report, text: str) -> None:
    """Every text a stranger may have written is hostile; elements and attributes stay the same."""
    both = replace(report, findings=(report.findings[0],) * 2)
    plain = Page(html.render(poisoned(both, "text")))
    other = Page(html.render(poisoned(both, text)))
    assert other.elements == plain.elements
    shown = " ".join(text.split())
    assert "".join(c if c.isprintable() else "\ufffd" for c in shown) in other.text


@many
@given(text=st.text(st.characters()) | st.text("<>&\"'/=! -[]ascript"))
def test_any_text_is_only_shown(report: Report, text: str) -> None:
    finding = replace(report.findings[0], title=text)
    page = Page(html.render(replace(report, findings=(finding,))))
    assert {name for name, _ in page.elements}.isdisjoint({"script", "a"})
    shown = " ".join(text.split())
    assert "".join(c if c.isprintable() else "\ufffd" for c in shown) in page.text


def numbered(report: Report, count: int) -> tuple[Finding, ...]:
    kinds = list(Severity)
    return tuple(
        replace(report.findings[0], title=f"finding {n}.", severity=kinds[n % len(kinds)])
        for n in range(count)
    )


def test_every_finding_stands_in_every_order(report: Report) -> None:
    page = Page(html.render(replace(report, findings=numbered(report, 9))))
    places = [dict(attrs).get("id") for name, attrs in page.elements if name == "details"]
    assert [place for place in places if place] == [f"finding-{n}" for n in range(1, 10)]
    links = [dict(attrs)["href"] for name, attrs in page.elements if name == "a"]
    for n in range(1, 10):
        assert links.count(f"#finding-{n}") == 4  # severity, category, service, status


def test_the_same_report_gives_the_same_page(report: Report) -> None:
    assert html.render(report) == html.render(report)
    assert not re.search(r"\b(?:nan|inf)\b", html.render(replace(report, findings=())))


def test_a_window_without_findings_says_so(report: Report) -> None:
    resolved = replace(
        report.findings[0],
        status=Status.RESOLVED,
        effect=Effect(measure="m", value=1.0, ci=(0.0, float("inf"))),
    )
    for findings in ((), (resolved,)):
        assert "Nothing to fix" in Page(html.render(replace(report, findings=findings))).text

"""The report for people: its text, and that nothing a trace says can leave its place."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from halo_otel.model.finding import Evidence, Finding, Role, Status, Subject
from halo_otel.model.report import Abstention, Report
from halo_otel.model.span import SpanId, TraceId
from halo_otel.reports import markdown

HERE = Path(__file__).parent
# Everything that could become something else: HTML, tables, strikethrough, on top of CommonMark.
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
INJECTIONS = [
    "# heading",
    "- item",
    "1. item",
    "23) item",
    "> quote",
    "```\ncode",
    "    code",
    "a\n\n# b",
    "===",
    "---",
    "| a | b |\n|---|---|",
    "[link](https://evil.example)",
    "![image](https://evil.example/x.png)",
    "<script>alert(1)</script>",
    "<https://evil.example>",
    "&lt;b&gt;",
    "**bold** _it_ ~~gone~~ `code`",
    "\\",
    "\\`x`",
    "[x]: https://evil.example",
    "a  \nb",
]


def rendered(text: str) -> list[Token]:
    """The inline tokens of one paragraph that holds only `text`, escaped."""
    blocks = READER.parse(markdown.escape(text))
    kinds = [block.type for block in blocks]
    assert kinds in (["paragraph_open", "inline", "paragraph_close"], []), kinds
    return (blocks[1].children or []) if blocks else []


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_injection_is_only_shown(text: str) -> None:
    assert all(token.type in ("text", "text_special") for token in rendered(text))
    assert "".join(token.content for token in rendered(text)) == " ".join(text.split())


@given(st.text(st.characters()))
@example("\x1b[31m\u202e")
def test_any_text_is_only_shown(text: str) -> None:
    shown = "".join(token.content for token in rendered(text))
    expected = " ".join(text.split())
    assert shown == "".join(c if c.isprintable() else "\ufffd" for c in expected)


@pytest.mark.parametrize("address", ["https://evil.example", "www.evil.example", "mailto:a@b.c"])
def test_bare_addresses_do_not_become_links(address: str) -> None:
    # GitHub looks for these very characters (GFM §6.9), in the source and, for @, in the text.
    escaped = markdown.escape(address)
    assert not any(mark in escaped for mark in ("https://", "www.", "mailto:", "@"))


def test_it_is_the_golden_text(report: Report) -> None:
    golden = (HERE / "golden" / "report.md").read_text(encoding="utf-8")
    assert markdown.render(report) == golden


def poisoned(report: Report, text: str) -> Report:
    """A report in which every text a stranger may have written is `text`."""
    finding: Finding = replace(
        report.findings[0],
        title=text,
        summary=text,
        subject=Subject(service=text, agent=text, tool=text, model=text, attributes={text: text}),
        recommendation=text,
        evidence=(
            Evidence(
                trace_id=TraceId(text), span_id=SpanId(text), role=Role.CAUSE, note=text, time_ns=0
            ),
        ),
    )
    return replace(
        report,
        window=replace(report.window, services=(text,)),
        coverage=replace(
            report.coverage, detectors_abstained=(Abstention(detector=text, why=text),)
        ),
        findings=(finding,),
    )


@pytest.mark.parametrize("text", [*INJECTIONS, "\x1b]0;title\x07\x9b31m"])
def test_a_report_keeps_its_shape_whatever_it_quotes(report: Report, text: str) -> None:
    plain = READER.parse(markdown.render(poisoned(report, "text")))
    other = READER.parse(markdown.render(poisoned(report, text)))
    assert [block.type for block in other] == [block.type for block in plain]
    for block in other:
        for token in block.children or ():
            assert token.type not in ("link_open", "image", "html_inline", "s_open", "hardbreak_x")


def test_names_of_any_length_leave_room_for_others(report: Report) -> None:
    text = "n" * 5000
    subject = Subject(service=text, agent=text, tool=text, model=text, attributes={text: text})
    long = replace(
        report,
        window=replace(report.window, services=(text,)),
        findings=(replace(report.findings[0], subject=subject),),
    )
    shown = markdown.render(long)
    assert "n" * 199 + "…" in shown
    assert "n" * 200 not in shown


def test_a_report_without_open_findings_says_so(report: Report) -> None:
    resolved = replace(report.findings[0], status=Status.RESOLVED)
    for findings in ((), (resolved,)):
        text = markdown.render(replace(report, findings=findings))
        assert "Nothing to fix" in text
        assert "Fix first" not in text


def test_the_top_names_three_and_counts_the_rest(report: Report) -> None:
    findings = tuple(replace(report.findings[0], title=f"finding {n}") for n in range(5))
    head = markdown.render(replace(report, findings=findings)).split("## Findings")[0]
    assert [f"finding {n}" in head for n in range(5)] == [True, True, True, False, False]
    assert "2 more below" in head


def test_a_list_of_findings_stands_alone(report: Report) -> None:
    assert markdown.render_findings(()) == "No findings.\n"
    alone = markdown.render_findings(report.findings)
    assert alone.strip() in markdown.render(report)

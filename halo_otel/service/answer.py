"""The answer to a person's question, for people: checked claims with the spans that show them."""

from collections.abc import Sequence

from halo_otel.recursion.claims.checking import Accepted
from halo_otel.recursion.claims.telling import explained
from halo_otel.reports.markdown import escape

NOTHING = "Nothing that holds could be said."


def answer_lines(answer: Sequence[Accepted]) -> list[tuple[str, str, str]]:
    """Of each claim what it says, its recommendation or "", and its spans as `trace/span`."""
    lines = []
    for one in answer:
        spans = " ".join(f"{cited.trace_id}/{cited.span_id}" for cited in one.verified.claim.spans)
        told = explained(one)
        lines.append((told.statement, told.recommendation, spans))
    return lines


def answer_markdown(answer: Sequence[Accepted]) -> str:
    """As a Markdown list, whose texts do nothing but show."""
    lines = []
    for statement, recommendation, spans in answer_lines(answer):
        lines.append(f"- {escape(statement)} `{spans}`")
        if recommendation:
            lines.append(f"  Do: {escape(recommendation)}")
    return "\n".join(lines or [NOTHING]) + "\n"


def question_markdown(question: str, answer: Sequence[Accepted]) -> str:
    """The question and its answer as the first section of a report."""
    return f"# Question\n\n{escape(question)}\n\n{answer_markdown(answer)}\n"

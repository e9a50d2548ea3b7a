"""The dialects a run can be written in."""

from collections.abc import Callable, Iterator
from typing import Final

from halo_otel.model.span import Span
from tests.eval.alpha.dialects import genai, langfuse, openinference, strands, vercel
from tests.eval.alpha.story import Tale

DIALECTS: Final[dict[str, Callable[[Tale], Iterator[Span]]]] = {
    "gen_ai": genai.spans,
    "langfuse": langfuse.spans,
    "openinference": openinference.spans,
    "span events": strands.spans,
    "vercel": vercel.spans,
}

"""What a listener hears while the model works. All texts are strangers': a terminal must not trust them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from halo_otel.errors import HaloError
from halo_otel.llm.client import Model
from halo_otel.llm.conversation import Answer, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """A conversation `about` something began; `title` names that for people."""

    about: str
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrote:
    """The model wrote a piece of text; None: what it wrote since its last turn is void, it is asked again."""

    about: str
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The model's turn in a conversation is over."""

    about: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The model called a tool, and was told this."""

    about: str
    tool: str
    arguments: Mapping[str, Any]
    reply: str
    call_id: str = ""  # as the model numbers its calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A claim was checked; `dropped` is why it does not ship, "" if it does."""

    about: str
    statement: str
    dropped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The conversation is over; `unfinished` is why it brought nothing, "" if it came to its end."""

    about: str
    unfinished: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A model, not always in a conversation, is asked; it happens in the task that began the conversation,
    or in one below it, so that a listener can keep what it is about in a context variable."""

    question: Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """It answered, or did not, and `why`."""

    question: Question
    answer: Answer | None
    why: str = ""


Event: TypeAlias = Began | Wrote | Said | Looked | Claimed | Ended | Asked | Answered
Listener: TypeAlias = Callable[[Event], None]


def heard(model: Model, listen: Listener) -> Model:
    """`model`, of whose questions and answers `listen` is told."""

    def watch(question: Question, came: Answer | HaloError | None) -> None:
        if came is None:
            listen(Asked(question=question))
        elif isinstance(came, Answer):
            listen(Answered(question=question, answer=came))
        else:
            listen(Answered(question=question, answer=None, why=str(came)))

    return model.watched(watch)

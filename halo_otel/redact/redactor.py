"""Texts and values by keyed hashes: nobody reads what was there, and what was equal is equal still.

    ask anna@shop.test   ->   ask [e-mail kbpfaoilmcdghjne]

The hash is BLAKE2b with a key (RFC 7693): without the key nobody can try which of all telephone numbers has
this one. 64 bits tell apart what one installation ever sees: of a billion values some two have one hash, once
in forty. They are written in letters, so that no hash is taken for a number or a key.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Generic, TypeVar

from halo_otel.model.span import Attributes
from halo_otel.redact import Sensitive, named
from halo_otel.redact.mask import Masked, Part, Rules, mask
from halo_otel.redact.memory import Memory

_HASH_BYTES: Final = 8
_LETTERS: Final = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
# What we wrote ourselves. Kinds are words for people; a pattern's name is the operator's.
_MASK: Final = re.compile(r"\[[A-Za-z][^\[\]\r\n\"\\]{0,60} [a-p]{16}\]")
# A number of JSON: what stands before and behind it.
_BEFORE_NUMBER: Final = re.compile(r"[:\[,]\s{0,20}-?\Z")
_BEHIND_NUMBER: Final = re.compile(r"\s{0,20}[,\]}]")
_JSON_BEGINS: Final = ("{", "[", '"')
# Numbers below have too few digits for anything that `personal` finds.
_NUMBER_MIN: Final = 10**8
# What is said is said again: names with each span, messages with each turn of a conversation. So a text is looked
# at in pieces of at least so many characters, each of which ends where an object of JSON does (no value that
# is found goes on there), and what was seen last is remembered.
_PIECE_CHARS_MIN: Final = 512
_SEAM: Final = "},"
_REMEMBERED_CHARS: Final = 8 << 20
_KEYS_MAX: Final = 10_000
# Asking RE2 costs half a millisecond: little for so many records, or so many characters, together.
_TOGETHER_MAX: Final = 2048
_TOGETHER_CHARS_MAX: Final = 2 << 20
# Words in an attribute's name that tell what its value is.
_TELLING: Final = re.compile(
    r"(?i)card|visa|amex|(?<![a-z])(?:pan|cc|ssn|dni|nif|nie|cpf|tin|idnr|nino)(?![a-z])|social|steuer|tax|aadhaa?r"
    r"|insurance|identifikation|documento"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """Attributes by name, or by how the name begins (`gen_ai.*`): the values of those `denied` are hashed, and,
    if any are `allowed`, those of all others."""

    allowed: Collection[str] = ()
    denied: Collection[str] = ()

    def hides(self, key: str) -> bool:
        """Whether the value of attribute `key` is hashed whatever it is."""
        return _named(key, self.denied) or (bool(self.allowed) and not _named(key, self.allowed))


def _named(key: str, names: Collection[str]) -> bool:
    return any(key.startswith(n[:-1]) if n.endswith("*") else key == n for n in names)


T = TypeVar("T")


class Redactor:
    """Takes what `rules` find out of texts and values. `count` is told each kind and how often it was found.

    Threads may share one; `each` is for one of them."""

    def __init__(
        self,
        key: bytes,
        rules: Rules,
        count: Callable[[str, int], None],
        lists: Lists | None = None,
    ) -> None:
        self._key = key
        self._rules = rules
        self._count = count
        self._lists = lists or Lists()
        # By a text: the same object if nothing is sensitive in it.
        self._seen: Memory[_Seen] = Memory(_REMEMBERED_CHARS)
        self._keys: dict[str, _Key] = {}
        self._suspects: Mapping[str, list[Part]] = {}
        self._draft: _Draft[Any] | None = None

    def each(self, redacted: Callable[[T], T], records: Iterable[T]) -> Iterator[T]:
        """`redacted(record)` of each of `records`, in order, where `redacted` asks this redactor.

        Each is made as if the texts that are not known were harmless; then these are looked at, those of many
        records at once; and where one is not harmless, its record is made again. What `redacted` remembers it
        makes by `settled`.
        """
        source = iter(records)
        while drafts := self._drafts(redacted, source):
            unseen = {text: None for draft in drafts for text in draft.unseen}
            self._suspects = self._rules.suspects(unseen)
            for text in unseen:
                if text not in self._suspects:
                    self._seen.put(text, _CLEAN)
            for draft in drafts:
                if self._suspects and any(text in self._suspects for text in draft.unseen):
                    yield redacted(draft.record)
                else:
                    for kinds in draft.kinds:
                        self._tell(kinds)
                    yield draft.made
            self._suspects = {}

    def _drafts(self, redacted: Callable[[T], T], source: Iterator[T]) -> "list[_Draft[T]]":
        """So many as are looked at together."""
        drafts: list[_Draft[T]] = []
        chars = 0
        for record in source:
            draft = self._draft = _Draft(record=record, made=record)
            try:
                draft.made = redacted(record)
            finally:
                self._draft = None
            drafts.append(draft)
            chars += sum(map(len, draft.unseen))
            if len(drafts) == _TOGETHER_MAX or chars >= _TOGETHER_CHARS_MAX:
                break
        return drafts

    def settled(self, redacted: Callable[[], T]) -> T:
        """`redacted()` where nothing is assumed, counted at once: what is made once and remembered."""
        draft, self._draft = self._draft, None
        try:
            return redacted()
        finally:
            self._draft = draft

    def text(self, text: str, called: str = "") -> str:
        """`text` without what is sensitive in it, the same object where nothing is; `called` is the name it
        goes by.

        A text that is JSON stays JSON: a number that is sensitive becomes a text.
        """
        if called:
            lead = f"{called}: "
            return text if self._known(lead + text) is _CLEAN else self._masked(text, lead)
        if len(text) < _PIECE_CHARS_MIN and self._known(text) is _CLEAN:
            return text
        left: list[str] = []
        clean = True
        for piece in _pieces(text):
            seen = self._known(piece)
            if seen is _CLEAN:
                left.append(piece)
            elif seen.has_number:
                return self._masked(text)  # what becomes of it depends on where it stands
            else:
                clean = False
                left.append(seen.text)
                self._tell(seen.kinds)
        return text if clean else "".join(left)

    def _known(self, text: str) -> "_Seen":
        """What `text` is known to become; in a draft what is not known is assumed to be clean."""
        seen = self._seen.get(text, _UNKNOWN)
        if seen is not _UNKNOWN:
            return seen
        if self._draft is not None and not self._draft.is_sure:
            self._draft.unseen.append(text)
            return _CLEAN
        return self._seen.put(text, self._look(text))

    def _look(self, text: str) -> "_Seen":
        if not self._rules.find(text, self._suspects.get(text)):
            return _CLEAN
        found = self._mask(text)
        if not found.kinds:  # what was found were masks of ours
            return _CLEAN
        return _Seen(text=found.text, kinds=found.kinds, has_number=bool(self._numbers(text)))

    def value(self, value: Any, called: str = "") -> Any:
        """An AnyValue, with its keys and with numbers that are sensitive as texts; the same object where
        nothing is."""
        kind = type(value)
        if kind is str:
            return self.text(value, called)
        if kind is int or kind is float:
            if -_NUMBER_MIN < value < _NUMBER_MIN:
                return value
            written = str(value)
            left = self.text(written, called)
            return value if left == written else left
        if kind is dict:
            return self.attributes(value, called)
        if kind is list:
            items = [self.value(item, called) for item in value]
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        return self._bytes(value, called) if kind is bytes else value

    def attributes(self, attributes: Attributes, called: str = "") -> Attributes:
        """`attributes` with keys and values as `value` gives them; the same object where nothing is sensitive.

        `called` is the name of the list they stand in; names that are hidden by a list count at the top alone.
        """
        changed: dict[str, tuple[str, Any]] = {}
        known, plain = self._seen.recent, not called  # most values were seen before
        for name, value in attributes.items():
            key = self._keys.get(name) or self._looked_at(name)
            if plain and type(value) is str and key.is_plain and known.get(value) is _CLEAN:
                continue
            if key.hides and not called:
                left: Any = self._hidden(value)
            else:
                within = name if key.tells else called
                left = self.text(value, within) if type(value) is str else self.value(value, within)
            if left is not value or key.masked:
                changed[name] = (key.masked or name, left)
        if not changed:
            return attributes
        return dict(changed.get(name, (name, value)) for name, value in attributes.items())

    def _looked_at(self, name: str) -> "_Key":
        draft = self._draft
        self._draft = sure = _Draft(record=name, made=name, is_sure=True)
        try:
            left = self.text(name)
        finally:
            self._draft = draft
        for kinds in sure.kinds:
            self._tell(kinds)
        masked = "" if left is name else left
        hides = self._lists.hides(name)
        tells = named.is_name(name) or bool(_TELLING.search(name))
        plain = not (masked or hides or tells)
        key = _Key(masked=masked, hides=hides, tells=tells, is_plain=plain)
        if not key.masked and len(self._keys) < _KEYS_MAX:
            self._keys[name] = key
        return key

    def _masked(self, text: str, lead: str = "") -> str:
        """`text` where `lead` stands before it."""
        found = self._mask(lead + text if lead else text)
        if not found.kinds:
            return text
        if not found.text.startswith(
            lead
        ):  # the name itself is sensitive, or one piece with the text
            return self._masked(text)
        self._tell(found.kinds)
        if text.lstrip()[:1] in _JSON_BEGINS and (values := self._numbers(lead + text)):
            try:
                replaced = json.dumps(self._replaced(json.loads(text), values), ensure_ascii=False)
                found = self._mask(lead + replaced)
            except (ValueError, RecursionError):
                pass  # it was no JSON
        return found.text[len(lead) :]

    def _mask(self, text: str) -> Masked:
        return mask(text, self._rules, self._stand_in, _MASK)

    def _numbers(self, text: str) -> dict[str, str]:
        """What is sensitive in `text` as it is written, with what stands for it; `{}` if none is a number of JSON."""
        places = self._rules.find(text)
        bare = any(
            _BEFORE_NUMBER.search(text, max(0, one.start - 24), one.start)
            and _BEHIND_NUMBER.match(text, one.end)
            for one in places
        )
        return {text[one.start : one.end]: self._stand_in(one) for one in places} if bare else {}

    def _replaced(self, value: Any, values: Mapping[str, str]) -> Any:
        """`value` of JSON with `values` replaced wherever they stand, also in JSON within its texts."""
        if isinstance(value, dict):
            return {
                self._replaced(key, values): self._replaced(item, values)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._replaced(item, values) for item in value]
        if isinstance(value, str):
            return self._replaced_text(value, values)
        if isinstance(value, bool) or value is None:
            return value
        written = str(value)
        left = _without(written, values)
        return value if left == written else left

    def _replaced_text(self, text: str, values: Mapping[str, str]) -> str:
        if text.lstrip()[:1] in _JSON_BEGINS and any(value in text for value in values):
            try:
                return json.dumps(self._replaced(json.loads(text), values), ensure_ascii=False)
            except ValueError:
                pass  # it was no JSON
        return _without(text, values)

    def _bytes(self, value: bytes, called: str) -> bytes:
        """Bytes that are a text are treated as one."""
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return value
        left = self.text(text, called)
        return value if left == text else left.encode()

    def _hidden(self, value: Any) -> str:
        """What stands for a value of an attribute that is hidden; equal values are equal still."""
        written = value if isinstance(value, str) else json.dumps(value, default=repr)
        if _MASK.fullmatch(written):
            return written
        self._tell({"attribute": 1})
        return f"[attribute {self._hash(written)}]"

    def _stand_in(self, found: Sensitive) -> str:
        return f"[{found.kind} {self._hash(found.value)}]"

    def _tell(self, kinds: Mapping[str, int]) -> None:
        if self._draft is not None:
            self._draft.kinds.append(kinds)
            return
        for kind, count in kinds.items():
            self._count(kind, count)

    def _hash(self, value: str) -> str:
        data = value.encode("utf-8", "surrogatepass")
        digest = blake2b(data, digest_size=_HASH_BYTES, key=self._key)
        return digest.hexdigest().translate(_LETTERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A piece without what is sensitive in it; `has_number` if a number of JSON is."""

    text: str
    kinds: Mapping[str, int]
    has_number: bool


_CLEAN: Final = _Seen(text="", kinds={}, has_number=False)
_UNKNOWN: Final = _Seen(text="", kinds={}, has_number=False)


@dataclass(slots=True, kw_only=True)
class _Draft(Generic[T]):
    """What was made of a record under the assumption that nothing in the texts `unseen` is sensitive."""

    record: T
    made: T
    unseen: list[str] = field(default_factory=list)
    kinds: list[Mapping[str, int]] = field(default_factory=list)
    is_sure: bool = False  # nothing is assumed; only what is counted waits


def _pieces(text: str) -> Iterator[str]:
    """Where a piece ends depends on what stands before alone: what is added at the end changes no piece."""
    start = 0
    while (seam := text.find(_SEAM, start + _PIECE_CHARS_MIN)) >= 0:
        end = seam + len(_SEAM)
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """A name of an attribute: masked if it must be, whether its value is hidden, whether it tells what that is."""

    masked: str
    hides: bool
    tells: bool
    is_plain: bool  # nothing of all that


def _without(text: str, values: Mapping[str, str]) -> str:
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, values[value])
    return text

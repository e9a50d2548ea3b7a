"""Conflicting writes and lost updates: one agent's change that another agent's change undoes unseen.

detectors.md §1.6. Two agents give the same field of the same thing different values.
lost update        the second looked at the thing before the first changed it, and not again
conflicting write  at once or within 10 s, and the second did not look in between
In both the second cannot have known: it works beside the first, its model was asked before the first
change was done, or it was asked with a prompt that is recorded whole and does not speak of the change.
The same value twice, other fields, and changes that were refused are no conflict. Where changes state the
versions that they build on, those decide. Two changes that make the same version of a thing both build on
the one before it.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from halo_otel.analysis.claims import wording
from halo_otel.analysis.claims.detector import Detector, Isolated, Nature
from halo_otel.analysis.claims.hit import Grade, Group, Hit
from halo_otel.analysis.claims.pattern import Assessment
from halo_otel.analysis.frame import Frame
from halo_otel.analysis.teams import resources
from halo_otel.analysis.teams.resources import Told
from halo_otel.analysis.usual.profile import Profile
from halo_otel.clock import NS_PER_S
from halo_otel.model.finding import Role, Subject

_CONFLICT_NS: Final = 10 * NS_PER_S  # detectors.md §2.3 #28
_BACK_MAX: Final = 5  # changes of one thing looked back at from each

# Arguments of general setters that say which field: `set(field, value)`.
_SELECTORS: Final = (
    "field",
    "setting",
    "name",
    "key",
    "attribute",
    "attr",
    "property",
    "prop",
    "column",
    "option",
)
_VALUES: Final = frozenset({"value", "to", "new_value", "new"})

# A number that other things state, too, or that begins to count, may be the version of the interface.
_PAIRS: Final = r"""
with change as (
  select *, row_number() over (partition by t, key order by start_ns, s) as place
  from frame_touch where effect = 'write' and not failed and sig is not null and (t, key) in (
    select (t, key) from frame_touch where effect = 'write' and not failed
    group by t, key having count(distinct agent) > 1 and count(distinct sig) > 1)),
pair as (
  select first.t, first.s as first_s, first.agent as first_agent, first.end_ns as first_end_ns, first.nth as first_nth,
         first.mark as first_mark, first.tool as first_tool,
         last.s, last.service, last.agent, last.tool, last.key, last.thing, last.resource, last.key_names, last.start_ns, last.turn_s,
         last.base, last.base_nth,
         coalesce(first.mark = last.mark and regexp_full_match(last.mark, '[1-9]\d{0,17}') and last.mark <> '1', false) and not exists (
           from frame_touch other where other.t = last.t and other.tool = last.tool and other.thing <> last.thing
             and other.mark = last.mark) as same_version
  from change first join change last on first.t = last.t and first.key = last.key
    and first.place < last.place and first.place >= last.place - $back
    and first.agent <> last.agent and first.sig <> last.sig),
looked as (
  select pair.s, pair.first_s, arg_max(look.s, (look.end_ns, look.s)) as look_s, max(look.end_ns) as look_ns,
         arg_max(look.nth, (look.end_ns, look.s)) filter (look.key = pair.key) as look_nth
  from pair join frame_touch look on look.t = pair.t and look.thing = pair.thing and look.agent = pair.agent
    and look.s <> pair.s and look.end_ns <= pair.start_ns and not look.failed
  group by all)
select pair.t, pair.service, pair.agent, pair.tool, pair.resource, pair.key_names, pair.s, pair.first_s, pair.first_agent,
       looked.look_s, pair.start_ns - pair.first_end_ns as gap_ns,
       coalesce(turn.start_ns < pair.first_end_ns, pair.start_ns < pair.first_end_ns) as asked_before, pair.turn_s,
       coalesce(pair.base_nth, case when pair.base is null then look_nth end) < pair.first_nth as older, pair.same_version
from pair left join looked using (s, first_s) left join frame_turn turn on pair.turn_s = turn.s
where coalesce(look_ns <= pair.first_end_ns, true)
  and coalesce(coalesce(pair.base_nth, case when pair.base is null then look_nth end) < pair.first_nth, true)
order by pair.t, pair.s, pair.first_s desc
"""


class _Pair(NamedTuple):
    t: int
    service: str
    agent: str
    tool: str
    resource: str
    key_names: list[str]
    s: int
    first_s: int
    first_agent: str
    look_s: int | None  # when the second agent had looked last, before the first change
    gap_ns: int
    asked_before: bool
    turn_s: int | None
    older: bool | None  # the second builds on a version older than the first change's, both stated
    same_version: bool  # both changes say that they made the same version


class _Clash(NamedTuple):
    pair: _Pair
    field: str
    first: str
    last: str


def lost_update(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and tool that undid a change it had not seen."""
    return _hits(frame, "lost_update", (one for one in _clashes(frame) if _loses(one.pair)))


def conflicting_write(frame: Frame, profile: Profile) -> list[Hit]:
    """One hit per trace, agent and tool that set a field which another agent just set differently."""
    clashes = (one for one in _clashes(frame) if one.pair.gap_ns < _CONFLICT_NS)
    return _hits(frame, "conflicting_write", (one for one in clashes if not _loses(one.pair)))


def _loses(pair: _Pair) -> bool:
    return pair.look_s is not None or bool(pair.older)


def _clashes(frame: Frame) -> list[_Clash]:
    """Pairs that set one field to different values, the second of which cannot have known of the first."""
    pairs = [_Pair(*row) for row in frame.con.execute(_PAIRS, {"back": _BACK_MAX}).fetchall()]
    if not pairs:
        return []
    texts = resources.said(frame, (s for pair in pairs for s in (pair.s, pair.first_s)))
    clashes = [
        _Clash(pair, *found)
        for pair in pairs
        if pair.s in texts
        and pair.first_s in texts
        and (found := _field(texts[pair.first_s], texts[pair.s], pair.key_names))
    ]
    beside = resources.beside(
        frame, ((c.pair.t, c.pair.first_agent, c.pair.agent) for c in clashes)
    )
    told = resources.told(frame, [(c.pair.turn_s, texts[c.pair.first_s]) for c in clashes])
    return [
        clash
        for clash, known in zip(clashes, told, strict=True)
        if clash.pair.asked_before
        or clash.pair.older
        or (
            known is not Told.YES
            and (clash.pair.t, clash.pair.first_agent, clash.pair.agent) in beside
        )
        or (known is Told.NO and (clash.pair.look_s is not None or clash.pair.same_version))
    ]


def _field(
    first: resources.Said, last: resources.Said, keys: list[str]
) -> tuple[str, str, str] | None:
    """The first field that both set, to different values."""
    one, other = (resources.changes(said.arguments, keys) for said in (first, last))
    if one.keys() & _VALUES and any(one.get(name) != other.get(name) for name in _SELECTORS):
        return None
    for name in sorted(one.keys() & other.keys()):
        if one[name] != other[name] and not resources.is_base(name):
            return name, one[name], other[name]
    return None


def _hits(frame: Frame, detector: str, clashes: Iterable[_Clash]) -> list[Hit]:
    found: dict[tuple[int, str, str, str], tuple[_Clash, int]] = {}
    for one in clashes:
        key = (one.pair.t, one.pair.service, one.pair.agent, one.pair.tool)
        first, times = found.get(key, (one, 0))
        found[key] = (first, times + 1)
    spans = (
        s for one, _ in found.values() for s in (one.pair.s, one.pair.first_s, one.pair.look_s)
    )
    where = resources.places(frame, spans)
    return [_hit(detector, one, times, where) for one, times in found.values()]


def _hit(detector: str, clash: _Clash, times: int, where: dict[int, resources.Place]) -> Hit:
    pair, field = clash.pair, wording.plain(clash.field, wording.NAME_CHARS_MAX)
    last, first = (
        wording.plain(value, wording.NAME_CHARS_MAX) for value in (clash.last, clash.first)
    )
    spots = [
        where[pair.s].spot(Role.CAUSE, f"{pair.agent} sets {field} of {pair.resource} to {last}"),
        where[pair.first_s].spot(Role.CONTRAST, f"{pair.first_agent} had set {field} to {first}"),
    ]
    if pair.look_s is not None:
        spots.append(
            where[pair.look_s].spot(Role.SYMPTOM, f"{pair.agent} had looked last before that")
        )
    explicit = pair.older or pair.asked_before
    return Hit(
        detector=detector,
        category="conflicting_write",
        subject=Subject(service=pair.service, agent=pair.agent, tool=pair.tool),
        exposure=Group(pair.service, pair.agent, "tool", pair.tool),
        trace=pair.t,
        spots=tuple(spots),
        calls=frozenset({pair.s}),
        grade=Grade.EXPLICIT if explicit else Grade.INFERRED,
        strength=times,
        slots={"who": pair.first_agent, "field": field, "first": first, "last": last},
    )


def _tell_lost(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    agent, tool = wording.quoted(hit.subject.agent), wording.quoted(hit.subject.tool)
    return wording.Sentences(
        title=f"Agent {agent} undoes changes it has not seen with tool {tool}",
        summary=f"{wording.rate(assessment)}: it looks, another agent changes the thing, and it writes what it had made"
        f" up before. {_example(hit)}{wording.harm(assessment)}",
        why="it was based on a state that another agent had changed since",
        recommendation=f"Make {tool} refuse a change that builds on an old state (send the version that was read, as"
        f" with If-Match), and let {agent} read again and merge when it is refused.",
    )


def _tell_conflict(assessment: Assessment) -> wording.Sentences:
    hit = assessment.pattern.first
    agent, tool = wording.quoted(hit.subject.agent), wording.quoted(hit.subject.tool)
    who = wording.quoted(hit.slots["who"])
    return wording.Sentences(
        title=f"Agents {who} and {agent} write different values to the same thing with tool {tool}",
        summary=f"{wording.rate(assessment)}: both change it at nearly the same time, neither sees the other's value."
        f" {_example(hit)}{wording.harm(assessment)}",
        why="the second of two changes that contradict each other",
        recommendation=f"Let one agent own the thing, or put the calls of {tool} of {who} and {agent} one after the"
        " other with a look in between; refuse changes that do not name the state they build on.",
    )


def _example(hit: Hit) -> str:
    slots = {name: wording.quoted(value) for name, value in hit.slots.items()}
    return f"For example {slots['who']} set {slots['field']} to {slots['first']}, then it became {slots['last']}."


LOST_UPDATE: Final = Detector(
    name="lost_update",
    category="conflicting_write",
    find=lost_update,
    needs="frame_touch",
    tell=_tell_lost,
    prior=0.95,
    nature=Nature.RISK,
    isolated=Isolated.NEVER,
    needs_payload=True,
    claims_calls=True,
)
CONFLICTING_WRITE: Final = Detector(
    name="conflicting_write",
    category="conflicting_write",
    find=conflicting_write,
    needs="frame_touch",
    tell=_tell_conflict,
    prior=0.95,
    nature=Nature.RISK,
    isolated=Isolated.NEVER,
    needs_payload=True,
    claims_calls=True,
)

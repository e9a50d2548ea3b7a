"""What speaks for and against a trace's success: `frame_vote`, one row per trace.

    frame_vote   t, votes, asked        votes: names of the label functions that speak (`outcome.LABELS`)
                                        asked: the user's first words, cut to `ASKED_CHARS_MAX`

A label function that cannot tell is silent (detectors.md §1.9). The final step is the last model turn or
call to end. A failed call is unrecovered when nothing made it good (`mending`).
"""

from typing import Final

import duckdb

TABLES: Final = ("frame_vote",)
ASKED_CHARS_MAX: Final = 200

# Words of a stranger are only ever compared with these. Each phrase says by itself that the task was not
# done; a tool's name or a quoted text rarely holds one. "I cannot X, but here is Y" is no inability of the
# run, so the answer's end is read: what the user is left with.
_UNABLE: Final = (
    r"(?i)\b(i|we)(('m| am|'re| are|) (sorry|afraid)[^.!?]{0,40}\b(can(not|'t|’t)|unable)"
    r"|(’m| am|'m|’re| are|'re| was| were) (un|not )able to"
    r"| (could not|couldn't|couldn’t|failed to|cannot|can't|can’t) (complete|finish|fulfil|resolve|proceed|help with|process)"
    r"| (give|gave|am giving) up\b)"
)
_LIMIT: Final = (
    r"(?i)(max(imum|\.)?[ _-]*(number of )?(allowed )?(step|turn|iteration|round|recursion|tool call)s?"
    r"( limit)?( is| was| of \d+|:? ?\(?\d+\)?)? *(exceed|reach|hit)|(agent )?stopped due to (max|iteration|time)"
    r"|recursion ?limit|(step|turn|iteration|budget|token budget|time) limit (of \d+ )?(was |has been )?(reached|exceeded|hit)"
    r"|(reach|exceed|hit)(ed)?( the| its)? (max(imum)? |)(step|turn|iteration|round)s?( limit)?\b"
    r"|max_?(turns|steps|iterations)_?(exceeded|reached|error)|MaxTurnsExceeded|GraphRecursionError)"
)
_COMPLAINT: Final = (
    r"(?i)(\bthat('s|’s| is) (wrong|not what i|not right|incorrect|not correct)|\bstill (not|doesn't|does not|isn't|broken|wrong)"
    r"|\byou (didn't|did not|didn’t|got it wrong|misunderstood|ignored)|\bnot what i (asked|meant|wanted)"
    r"|\b(this|it) (didn't|did not|doesn't|does not|didn’t|doesn’t) (work|help)|\b(useless|unacceptable)\b|\bwrong (answer|result|order|file)\b)"
)
_THANKS: Final = (
    r"(?i)(\bthank(s| you)\b[^?]{0,60}\b(that('s|’s| is) (all|it|everything)|perfect|works|worked|solved|exactly)"
    r"|\b(perfect|works now|it works|solved|exactly what i)\b[^?]{0,60}\bthank)"
)
_TESTS_PASS: Final = r"(?i)(\b[1-9]\d* passed\b|\ball (\d+ )?tests pass|\bOK \(\d+ tests)"
_TESTS_FAIL: Final = r"(?i)\b([1-9]\d* (failed|errors?)\b|tests? failed|FAILED\b)"

# Evaluations are asked about many things; only these names speak about the run as a whole.
_OF_OUTCOME: Final = r"(?i)(success|correct|complet|resol|goal|outcome|task|feedback|thumb|satisf|reward|accura|helpful|overall|csat)"
_GOOD: Final = r"(?i)^(pass(ed)?|success(ful)?|correct|good|yes|true|resolved|complete(d)?|positive|thumbs?_?-?up|satisfied|helpful|1)$"
_BAD: Final = r"(?i)^(fail(ed|ure)?|incorrect|wrong|bad|no|false|unresolved|incomplete|negative|thumbs?_?-?down|unsatisfied|dissatisfied|unhelpful|0)$"

_VOTES: Final = """
create temp table frame_vote as
with root as (
  select t, arg_min(status_code, (p is not null, s)) as status_code,
         arg_min(failed, (p is not null, s)) as failed, arg_min(s, (p is not null, s)) as s
  from frame_span group by t),
score as (
  select trace.t, unnest(w.evaluations::json[]) as one
  from spans w join frame_trace trace using (trace_id) where w.evaluations is not null),
evaluated as (
  select t,
         bool_or(regexp_matches(coalesce(one ->> 'label', ''), $bad)
                 or (one ->> 'label') is null and (one ->> 'score')::double between -1 and 0.25) as bad,
         bool_or(regexp_matches(coalesce(one ->> 'label', ''), $good)
                 or (one ->> 'label') is null and (one ->> 'score')::double between 0.75 and 1) as good
  from score where regexp_matches(coalesce(one ->> 'name', ''), $of_outcome) group by t),
step as (
  select t, end_ns, s, failed and error_source <> 'tool_result' as surely, failed, false as turn from frame_call
  union all
  select t, end_ns, s, failed as surely, failed, true as turn from frame_turn),
final as (
  select t, max_by(s, (end_ns, s)) as s, max_by(surely, (end_ns, s)) as surely,
         max_by(failed, (end_ns, s)) as failed, max_by(turn, (end_ns, s)) as turn
  from step group by t),
ending as (
  select final.*, coalesce(span.finish_reason, '') as finish, span.answered, text.output_chars,
         coalesce(text.output_end, right(text.output, 200), '') as words
  from final join frame_span span on span.s = final.s left join frame_text text on text.s = final.s),
unrecovered as (
  select distinct t from frame_call where failed and s not in (select s from frame_mended)),
said as (
  select span.t, min_by(text.input, span.s) as first, max_by(text.input, span.s) as last,
         count(distinct text.input) as inputs
  from frame_text text join frame_span span using (s)
  where text.input is not null and span.kind in ('agent', 'llm', 'chain') group by span.t),
limited as (
  select distinct t from frame_span
  where failed and regexp_matches(concat_ws(' ', error_type, left(error_text, 400)), $limit)),
tested as (
  select call.t, max_by(regexp_matches(text.result, $tests_pass)
                        and not regexp_matches(text.result, $tests_fail), call.s) as pass
  from frame_call call join frame_text text using (s)
  where text.result is not null and call.effect <> 'read'
    -- Plain words are found faster than expressions, and most results hold none of these.
    and (contains(text.result, 'assed') or contains(text.result, 'ailed') or contains(text.result, 'ests')
         or contains(text.result, 'PASSED') or contains(text.result, 'FAILED') or contains(text.result, 'TESTS'))
    and regexp_matches(text.result, '(?i)(passed|failed|tests)')
    and (regexp_matches(text.result, $tests_pass) or regexp_matches(text.result, $tests_fail))
  group by call.t)
select trace.t,
       list_filter([
         case when evaluated.bad and not evaluated.good then 'evaluated_bad' end,
         case when evaluated.good and not evaluated.bad then 'evaluated_good' end,
         case when root.failed then 'root_error' end,
         case when root.status_code = 1 then 'root_ok' end,
         case when ending.surely then 'final_error' end,
         case when ending.failed and not ending.surely then 'final_error_told' end,
         case when limited.t is not null or regexp_matches(ending.words, $limit)
                or regexp_matches(ending.finish, '(?i)^max_?(turns|steps|iterations)') then 'step_limit' end,
         case when ending.turn and regexp_matches(ending.finish, '(?i)^(length|max_?tokens|content_filter|safety)$')
              then 'cut_off' end,
         case when ending.turn and not ending.failed and ending.output_chars = 0 then 'empty_answer' end,
         case when ending.turn and regexp_matches(ending.words, $unable) then 'unable' end,
         case when ending.turn and not ending.failed
                and regexp_matches(ending.finish, '(?i)^(stop|end_turn|completed)$') then 'finished' end,
         case when ending.turn and not ending.failed and ending.answered then 'answered' end,
         case when unrecovered.t is not null then 'unrecovered' end,
         case when said.inputs > 1 and regexp_matches(said.last, $complaint) then 'complaint' end,
         case when said.inputs > 1 and regexp_matches(said.last, $thanks) then 'thanks' end,
         case when tested.pass then 'tests_pass' end],
         lambda vote: vote is not null) as votes,
       left(said.first, $asked_chars) as asked,
       regexp_matches(said.first, $complaint) as complains, regexp_matches(said.first, $thanks) as thanks
from frame_trace trace join root using (t)
left join evaluated using (t) left join ending using (t) left join unrecovered using (t)
left join said using (t) left join limited using (t) left join tested using (t)
"""

_PATTERNS: Final = {
    "unable": _UNABLE,
    "limit": _LIMIT,
    "complaint": _COMPLAINT,
    "thanks": _THANKS,
    "tests_pass": _TESTS_PASS,
    "tests_fail": _TESTS_FAIL,
    "of_outcome": _OF_OUTCOME,
    "good": _GOOD,
    "bad": _BAD,
    "asked_chars": ASKED_CHARS_MAX,
}


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make `frame_vote` of the other tables of the frame and the relation `spans` on `con`."""
    con.execute(_VOTES, _PATTERNS)

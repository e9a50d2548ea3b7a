"""Which calls are about the same thing, and which state of it they saw.

    frame_touch  t, s, agent, tool, effect, key, mark, nth, base, …       one row per call about a resource

A `thing` is the values that name it alone. A resource is what a tool is about (`get_order`, `update_orders` -> order) and the values that name it
(`order_id`, `path`). `mark` is the version that the answer states, `nth` orders the versions of one
resource: numbers and times by themselves, opaque marks (an etag) by when they were first seen. `base` is
the version a call says it builds on. Where a tool's name does not say whether it changes anything, its
answer may: it confirms a change, or states a later version than the call was based on. An answer that states more than one version tells none
(detectors.md §1.6). Only traces are here in which several agents call tools or versions are told twice.
"""

from typing import Final

import duckdb

TABLES: Final = ("frame_touch",)

_VERSION_NAMES: Final = (
    "version|revision|rev|row_?version|resource_?version|version_?(?:id|no|number)|etag|generation"
    "|updated_?at|last_?modified|modified_?at|last_?updated"
)
# What a call says it builds on; `version` alone asks for that version when it reads.
BASE_NAMES: Final = (
    "(?:expected|base|known|if|current|based_?on|read|from|prev|previous)_?(?:match|version|revision|rev|etag)"
    "|version|revision|rev|etag"
)
# Names of arguments that say which one, not what it shall become.
_KEY_NAMES: Final = (
    r"(?i)^(.*[_.-])?(id|key|uuid|guid|path|file|filename|uri|url|sku|slug|ref|reference|number|no|code"
    r"|table|document|doc|record|ticket|entity|resource)$|[a-z](Id|ID|Key|Path|Uri|Url|Ref|Number|No|Code)$"
)
# How tools confirm in a few words that they have changed something: `{"saved": true}`, "2 rows updated".
_CHANGED: Final = (
    r'(?i)"(?:is_?)?(?:saved|updated|changed|modified|written|stored|applied|committed|replaced|persisted)"\s*:\s*true'
    r"|\b[1-9]\d* (?:file|row|record|item|line|entry|entrie|document|field|object)s? "
    r"(?:(?:was|were|has been|have been) )?(?:changed|updated|modified|written|affected|inserted|replaced|saved)\b"
)
_CONFIRMATION_CHARS_MAX: Final = 500  # a longer answer tells of the thing, not of the call
# What is said of a thing in the name of a tool, beside the thing.
_FILLERS: Final = (
    *(
        "get",
        "read",
        "fetch",
        "list",
        "search",
        "find",
        "lookup",
        "look",
        "query",
        "retrieve",
        "check",
    ),
    *(
        "describe",
        "show",
        "view",
        "load",
        "inspect",
        "set",
        "update",
        "create",
        "delete",
        "write",
        "edit",
    ),
    *(
        "insert",
        "add",
        "remove",
        "put",
        "patch",
        "append",
        "modify",
        "save",
        "submit",
        "commit",
        "apply",
    ),
    *("amend", "alter", "revise", "rewrite", "overwrite", "correct", "open"),
    *(
        "replace",
        "upsert",
        "change",
        "adjust",
        "reserve",
        "release",
        "approve",
        "reject",
        "assign",
        "mark",
    ),
    *(
        "close",
        "cancel",
        "confirm",
        "allocate",
        "increment",
        "decrement",
        "register",
        "publish",
        "store",
    ),
    *(
        "rollback",
        "roll",
        "back",
        "revert",
        "restore",
        "undo",
        "reset",
        "by",
        "with",
        "for",
        "of",
        "in",
        "to",
        "from",
        "the",
        "a",
        "up",
        "details",
        "detail",
        "info",
        "data",
    ),
    *(
        "id",
        "value",
        "content",
        "contents",
        "current",
        "latest",
        "new",
        "status",
        "state",
        "item",
        "items",
    ),
)

_MACROS: Final = (
    r"""
create or replace temp macro halo_family(tool) as
  list_sort(list_distinct(list_transform(
    list_filter(halo_words(tool), lambda word: not list_contains($fillers, word)),
    lambda word: case when length(word) > 3 then rtrim(word, 's') else word end)))
""",
    rf"""
create or replace temp macro halo_marks(result) as
  list_concat(
    regexp_extract_all(result, '(?i)"(?:{_VERSION_NAMES})"\s*:\s*"?([^",}}\]\s][^",}}\]]*)', 1),
    regexp_extract_all(result, '(?im)^\s*(?:{_VERSION_NAMES})\s*[:=]\s*(v?[0-9][\w.:+-]*)\s*$', 1))
""",
    r"""
create or replace temp macro halo_order(mark) as
  coalesce(try_cast(regexp_extract(mark, '^[vVrR]?(\d{1,18})$', 1) as double),
           epoch(try_cast(mark as timestamptz)))
""",
    r"""
create or replace temp macro halo_undoes(tool) as
  regexp_matches(tool, '(?i)roll_?back|revert|restore|undo|reset|downgrade')
""",
)

_TOUCHES: Final = rf"""
create temp table frame_touch as
with several as (
  select t from frame_call where not handoff group by t having count(distinct agent) > 1),
told as (
  select call.s, call.t, case when len(list_distinct(halo_marks(text.result))) = 1
                       then trim(halo_marks(text.result)[1]) end as mark
  from frame_text text join frame_call call using (s)
  where (contains(text.result, 'ersion') or contains(text.result, 'rev') or contains(text.result, 'odified')
         or contains(text.result, 'pdated') or contains(lower(text.result), 'etag'))
    and not call.failed),
chosen as (
  select t from several
  union select t from told where mark is not null group by t having count(*) > 1),
tools as (
  select tool, halo_family(tool) as family from (select distinct tool from frame_call)),
argument as (
  select t, s, tool, lower(name) as name, value, regexp_matches(name, '{_KEY_NAMES}') as names_it,
         regexp_full_match(name, '(?i){BASE_NAMES}') as is_base,
         list_has_any(family, list_transform(halo_words(name),
           lambda word: case when length(word) > 3 then rtrim(word, 's') else word end)) as is_own, family, is_id
  from frame_argument join tools using (tool) semi join chosen using (t)),
ranked as (
  -- A word that only shares the tool's name (`verdict="strike"`) names nothing beside an id.
  select *, case when names_it and is_own then 1
                 when names_it or is_own and (is_id or not bool_or(is_id) over (partition by s)) then 2 end as place
  from argument
  where not is_base and name not in ('idempotency_key', 'request_id', 'trace_id', 'session_id', 'api_key')),
named as (
  select s, hash(any_value(family), list_sort(list(value))) as key, hash(list_sort(list(value))) as thing, list_sort(list(name)) as key_names,
         string_agg(value, ', ' order by name) as resource
  from (select *, min(place) over (partition by s) as best from ranked) where place = best group by s),
based as (select s, min(value) as base from argument where is_base group by s),
confirmed as (
  select call.s from frame_call call join frame_text text using (s)
  where call.effect = 'unknown' and not call.failed and text.result_chars <= {_CONFIRMATION_CHARS_MAX}
    and regexp_matches(text.result, '{_CHANGED}')
  union
  select call.s from frame_call call join based using (s) join told using (s)
  where call.effect = 'unknown' and halo_order(told.mark) > halo_order(based.base)),
touch as (
  select call.t, call.s, call.service, call.agent, call.tool,
         case when call.s in (from confirmed) then 'write' else call.effect end as effect, call.start_ns, call.end_ns,
         call.failed, call.turn_s, call.sig, call.obs, named.key, named.thing, named.key_names, named.resource,
         case when call.effect = 'read' and based.base is not null then null else told.mark end as mark,
         based.base
  from frame_call call join named using (s) left join told using (s) left join based using (s)
  where not call.handoff),
seen as (
  select t, key, mark, coalesce(halo_order(mark), min(end_ns)) as nth
  from touch where mark is not null group by t, key, mark)
select touch.*, seen.nth, coalesce(stated.nth, halo_order(touch.base)) as base_nth
from touch
left join seen on touch.t = seen.t and touch.key = seen.key and touch.mark = seen.mark
left join seen stated on touch.t = stated.t and touch.key = stated.key and touch.base = stated.mark
"""  # noqa: S608 our patterns


def build(con: duckdb.DuckDBPyConnection) -> None:
    """Make `frame_touch` of the frame on `con`."""
    fillers = "[" + ", ".join(f"'{word}'" for word in _FILLERS) + "]"
    for macro in _MACROS:
        con.execute(macro.replace("$fillers", fillers))
    con.execute(_TOUCHES)

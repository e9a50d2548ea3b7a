r"""What makes two calls, two answers or two error texts "the same": SQL macros over recorded text.

Masks remove only what changes by itself (times, request ids, addresses). Plain numbers stay in
arguments and results, since a counter that moves is progress; they go from error texts, where they
are sizes, ids and delays, except HTTP statuses and errnos, which say what went wrong.
Order of the masks after Sentry's `parameterization.py`, see detectors.md §1.1.
"""

from typing import Final

import duckdb

# Answers that stand for "not recorded". Unknown is never equal to anything.
_HIDDEN: Final = r"""
create or replace temp macro halo_hidden(text) as
  regexp_matches(text, '(?i)[\[<({]\s*(redacted|masked|filtered|scrubbed|removed|hidden)\s*[\]>)}]'
                       || '|__(redacted|masked)__|\*{3,}|^\s*(redacted|masked|hidden)\s*$')
"""

# Keys whose value is new in every attempt of one logical call.
_ARGUMENTS: Final = r"""
create or replace temp macro halo_arguments(text, chars) as
  case when text is null or halo_hidden(text) then null
       else hash(chars, regexp_replace(text,
         '"(ts|timestamp|time_?stamp|request_?id|trace_?id|span_?id|call_?id|nonce|idempotency_?key)"'
         || '\s*:\s*("[^"]*"|[^,}\]]+)', '', 'gi')) end
"""

# The first 2,000 characters tell two answers apart, the length catches what follows them. One expression,
# for each is a pass over every answer there is.
_UNTIMED: Final = r"""
create or replace temp macro halo_untimed(text) as
  regexp_replace(text,
    '(?-i:\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?)?(Z|[+-]\d\d:?\d\d)?)'
    || '|\b\d+(\.\d+)?\s?(ns|us|µs|ms|s|sec|secs|seconds)\b'
    || '|"(ts|timestamp|request_?id|trace_?id|elapsed\w*|took|duration\w*)"\s*:\s*("[^"]*"|[^,}\]]+)',
    '#', 'gi')
"""
_OBSERVATION: Final = r"""
create or replace temp macro halo_observation(text, chars) as
  case when text is null or halo_hidden(left(text, 200)) then null
       else hash(halo_untimed(left(text, 2000)), case when chars > 2000 then chars end) end
"""

# Wrappers ("Error when executing tool …: TypeError: …") hide the error that was raised: the
# innermost `XxxError: …` is kept (the greedy prefix finds the last one). Of an error that is a JSON
# object only the message counts.
_UNWRAPPED: Final = r"""
create or replace temp macro halo_unwrapped(text) as
  coalesce(
    nullif(regexp_extract(text,
      '(?s)^.*\b((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Timeout|Warning|Refused|Denied|NotFound)'
      || '\s*:\s*\S.*)$', 1), ''),
    nullif(regexp_extract(text, '(?i)^[^{]{0,80}\{.*?"(?:error_?message|message|error|detail|reason|msg)"'
      || '\s*:\s*"((?:[^"\\]|\\.)+)"', 1), ''),
    text)
"""

# An HTTP status, errno or vendor code is fenced in «», so that the number mask leaves it alone and
# templates with different codes are never merged. A word that ends in a number is an id more often than
# a name (`sha256`): masked in vain it only shortens the text, left in it makes a new error of each id.
_MASKED: Final = r"""
create or replace temp macro halo_masked(text) as
  regexp_replace(
  regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
  regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(regexp_replace(
  regexp_replace(regexp_replace(left(text, 600),
  '(?i)\b[a-z][a-z0-9+.-]*://[^\s''"<>)\]}]+', '<url>', 'g'),
  '[\w.+-]+@[\w-]+(\.[\w-]+)+', '<email>', 'g'),
  '(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b', '<uuid>', 'g'),
  '\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d+)?)?)?(Z|[+-]\d\d:?\d\d)?|\b\d\d:\d\d:\d\d([.,]\d+)?\b',
    '<date>', 'g'),
  '(?i)\b(http|status|code|errno|exit ?code|exitcode|error code|signal)([ :=/\[(]{1,3})(-?\d{1,3})\b',
    '\1\2«\3»', 'g'),
  '(?i)^(\W*)([1-5]\d\d)\b', '\1«\2»', ''),
  '(?i)\b(ora|pls|tns|sqlstate|ts|cs|winerror|err|http)([-_ ]?)(\d{2,5})\b', '\1\2«\3»', 'g'),
  '(^|[\s''"(=:,\[])(~|\.{1,2}|[A-Za-z]:)?[/\\][\w.@%+~-]+([/\\][\w.@%+~-]*)*', '\1<path>', 'g'),
  '([^«\w]|^)([A-Za-z]{2,12}[-_][A-Za-z0-9_-]*\d[A-Za-z0-9_-]{2,}|[A-Z]{2,8}\d{2,})\b', '\1<id>', 'g'),
  '(?i)\b(0x[0-9a-f]+|[0-9a-f]*\d[0-9a-f]{7,}|[0-9a-f]{7,}\d[0-9a-f]*)\b', '<hex>', 'g'),
  '([^«\w]|^)[A-Za-z]{1,12}\d{2,}[A-Za-z0-9]*\b', '\1<id>', 'g'),
  '([^«\w.]|^)-?\d+(\.\d+)*([a-zA-Zµ%]{0,3})\b', '\1<n>\3', 'g'),
  '"[^"]{0,300}"|\B''[^'']{0,300}''\B|`[^`]{0,300}`', '<str>', 'g'),
  '\{[^{}]*\}', '<obj>', 'g'),
  '\s+', ' ', 'g')
"""

# The first verb of the name decides: `get_update_history` reads. Names of interpreters run anything,
# so they may write. Lists: detectors.md §1.6 and the verbs of the MCP reference servers.
_WORDS: Final = r"""
create or replace temp macro halo_words(name) as
  regexp_extract_all(lower(regexp_replace(name, '([a-z0-9])([A-Z])', '\1_\2', 'g')), '[a-z]+')
"""
_EFFECT: Final = r"""
create or replace temp macro halo_effect(name) as
  coalesce(list_filter(list_transform(halo_words(name), lambda word: case
    when word in ('get', 'read', 'list', 'search', 'find', 'fetch', 'lookup', 'look', 'query', 'retrieve',
      'check', 'describe', 'show', 'view', 'load', 'browse', 'count', 'glob', 'grep', 'inspect', 'status',
      'poll', 'calculate', 'think', 'validate', 'verify') then 'read'
    when word in ('set', 'update', 'create', 'delete', 'send', 'write', 'edit', 'insert', 'add', 'remove',
      'put', 'post', 'patch', 'append', 'book', 'cancel', 'modify', 'move', 'rename', 'save', 'store',
      'submit', 'commit', 'push', 'apply', 'replace', 'upload', 'publish', 'start', 'stop', 'exchange',
      'return', 'transfer', 'pay', 'refund', 'charge', 'order', 'reset', 'clear', 'upsert', 'merge',
      'install', 'deploy', 'schedule', 'assign', 'reply', 'click', 'type', 'goto', 'navigate', 'scroll')
      then 'write'
    when word in ('run', 'exec', 'execute', 'bash', 'shell', 'sh', 'python', 'command', 'terminal', 'code',
      'eval', 'interpreter', 'computer', 'call', 'invoke', 'test', 'tests', 'build', 'step', 'wait', 'sleep')
      then 'opaque' end), lambda effect: effect is not null)[1], 'unknown')
"""

# A handoff passes the work on; the same handoff again is another detector's business.
_HANDOFF: Final = r"""
create or replace temp macro halo_handoff(name) as
  regexp_matches(lower(name), '^(transfer_(back_)?to|hand_?off|delegate_(work_)?to)')
"""

# An agent's name as others call it: `transfer_to_billing_agent` and "Billing Agent".
_AGENT_KEY: Final = r"""
create or replace temp macro halo_agent_key(name) as regexp_replace(lower(name), '[^a-z0-9]', '', 'g')
"""

_MACROS: Final = (
    _HIDDEN,
    _ARGUMENTS,
    _UNTIMED,
    _OBSERVATION,
    _UNWRAPPED,
    _MASKED,
    _WORDS,
    _EFFECT,
    _HANDOFF,
    _AGENT_KEY,
)


def install(con: duckdb.DuckDBPyConnection) -> None:
    """Create the macros on `con`."""
    for macro in _MACROS:
        con.execute(macro)

"""Every error this project raises, in one tree.

    HaloError
    ├── Retryable                 may succeed if tried again, nothing is lost by trying
    │   ├── JournalFull           the journal reached its size bound
    │   ├── JournalFailed         the journal cannot be written until the service is restarted
    │   ├── Overloaded            too much is in flight right now
    │   ├── RunEnded              an analysis took more time or memory than it may
    │   ├── Unreachable           the other side of a connection is down
    │   └── Unwritable            durable state cannot be written: disk full, quota, permissions
    └── Permanent                 will never succeed as it is
        ├── ConfigError           a setting is unknown, bad or unreadable
        ├── BadRequest            the sender's bytes are not what they claim to be
        ├── TooLarge              the sender's bytes exceed a limit, also after decompression
        ├── BadFile               a file to read is not of a format we know
        ├── JournalDamaged        acknowledged bytes on disk are not what was written
        ├── StateDamaged          another durable file cannot be read
        ├── InUse                 another process holds the data directory
        ├── BudgetExhausted       a limit of what the model may spend is reached
        ├── ContextTooLong        a request does not fit into the model's context
        ├── Refused               the model declines to answer
        ├── Rejected              the model's endpoint will not take such a request
        ├── BadQuery              a query that a model wrote may not be run, or failed
        └── NotFound              the asked-for finding, window or trace does not exist

Callers need one bit: `Retryable` or `Permanent`. A message names the thing and the cure.
"""


class HaloError(Exception):
    """Root of the tree; never raised itself."""


class Retryable(HaloError):
    """May succeed if tried again."""


class Unwritable(Retryable):
    """Durable state cannot be written; what was to be written is still where it came from."""


class Permanent(HaloError):
    """Will never succeed as it is."""


class JournalFull(Retryable):
    """The journal reached `journal.max_bytes`: the sender keeps the data and tries again."""


class JournalFailed(Retryable):
    """The journal is broken or closed: the sender keeps the data, the service must be restarted."""


class Overloaded(Retryable):
    """More is asked for at once than is admitted; `reason` names the bound in one word."""

    def __init__(self, message: str, reason: str = "busy") -> None:
        super().__init__(message)
        self.reason = reason


class RunEnded(Retryable):
    """An analysis took more time or memory than it may; `limit` is the key that says how much."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class Unreachable(Retryable):
    """The other side of a connection does not answer."""


class ConfigError(Permanent):
    """A setting is unknown, bad or unreadable; the message holds its path and the cure."""


class BadRequest(Permanent):
    """The sender's bytes cannot be decoded."""


class TooLarge(Permanent):
    """The sender's bytes exceed the size limit; the same bytes can never be accepted."""


class BadFile(Permanent):
    """A file named on the command line cannot be read as traces."""


class JournalDamaged(Permanent):
    """A journal frame that was acknowledged cannot be read back."""


class StateDamaged(Permanent):
    """A durable file other than the journal cannot be read back."""


class InUse(Permanent):
    """Another process holds the data directory."""


class BadQuery(Permanent):
    """A query on a sealed database may not be run, or failed; the message says how to write it."""


class NotFound(Permanent):
    """What was asked for does not exist (any more)."""


class BudgetExhausted(Permanent):
    """Spending more would break `limit`, the key in the configuration that names it."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class ContextTooLong(Permanent):
    """A request does not fit into the model's context of `tokens`, where the endpoint says how many."""

    def __init__(self, message: str, tokens: int | None = None) -> None:
        super().__init__(message)
        self.tokens = tokens


class Refused(Permanent):
    """The model, or the filter before it, declines to answer."""


class Rejected(Permanent):
    """The model's endpoint will not take such a request: key, account, model's name or a parameter."""

"""The tables as `migrations` leaves them, for building statements.

`findings` holds one row per fingerprint: the lifecycle's state, what lists are filtered by, and the
last report's claim as `document` (see `document`). `traces` is the affected traces known, one id
per line, oldest first. `evidence` only remembers which spans were told, never twice. `sightings` has one row per
finding and replica that showed it of late.
`baselines` has one row per replica, window and service, `cells` one per replica, window and cell, so that
recording a window again replaces. `explanation` is what a model said of a finding, NULL if it said nothing.
`bookings` holds what the model tier spent in the last day, `dropped_claims` what it said that did not hold.
"""

import sqlalchemy as sa

METADATA = sa.MetaData()

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _integers(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger) for name in names]


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text) for name in names]


def _reals(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double) for name in names]


findings = sa.Table(
    "findings",
    METADATA,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    # lifecycle.State and the status it shows
    *_texts("status", "life"),
    *_integers("life_since_ns", "life_windows", "windows_seen", "unseen_traces"),
    *_integers("muted_until_ns", "resolved_ns"),
    *_integers("first_seen_ns", "last_seen_ns", "updated_ns", "told_ns"),
    *_texts("category", "severity", "service"),
    *_reals("priority", "rate"),
    *_texts("document", "traces", "explanation"),
)

evidence = sa.Table(
    "evidence",
    METADATA,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("trace_id", sa.Text, primary_key=True),
    sa.Column("span_id", sa.Text, primary_key=True),
    *_integers("recorded_ns"),
)

sightings = sa.Table(
    "sightings",
    METADATA,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    sa.Column("replica", sa.Text, primary_key=True),
    *_reals("rate"),
    *_integers("unseen_traces"),
    *_texts("trend"),
    *_integers("judged_ns"),
)

runs = sa.Table(
    "runs",
    METADATA,
    sa.Column("run_id", _ID, primary_key=True),
    *_texts("replica"),
    *_integers("recorded_ns", "start_ns", "end_ns"),
    *_texts("trigger"),
    *_reals("duration_s"),
    *_integers("traces", "judged", "spans", "late", "findings"),
    *_integers("model_calls", "input_tokens", "output_tokens"),
    *_reals("cost"),
)

transitions = sa.Table(
    "transitions",
    METADATA,
    sa.Column("seq", _ID, primary_key=True),
    *_texts("fingerprint", "before", "after"),
    *_integers("at_ns", "run_id"),
    *_texts("reason"),
)

baselines = sa.Table(
    "baselines",
    METADATA,
    sa.Column("replica", sa.Text, primary_key=True),
    sa.Column("window_start_ns", sa.BigInteger, primary_key=True),
    sa.Column("service", sa.Text, primary_key=True),
    *_integers("traces", "spans", "errors"),
)

cells = sa.Table(
    "cells",
    METADATA,
    sa.Column("replica", sa.Text, primary_key=True),
    sa.Column("window_start_ns", sa.BigInteger, primary_key=True),
    sa.Column("cell", sa.Text, primary_key=True),
    *_integers("exposed", "affected", "odd"),
)

bookings = sa.Table(
    "bookings",
    METADATA,
    sa.Column("booking_id", _ID, primary_key=True),
    *_integers("at_ns", "input_tokens", "output_tokens", "cost_nano", "calls"),
)

dropped_claims = sa.Table(
    "dropped_claims",
    METADATA,
    sa.Column("claim_id", _ID, primary_key=True),
    *_integers("at_ns"),
    *_texts("reason", "why", "statement", "service", "agent", "tool", "model", "cluster", "asked"),
)

outbox = sa.Table(
    "outbox",
    METADATA,
    sa.Column("record_id", _ID, primary_key=True),
    *_texts("kind"),
    *_integers("worth"),
    *_texts("dedupe_key", "payload"),
    *_integers("created_ns", "attempts", "next_attempt_ns"),
    *_texts("leased_by"),
)

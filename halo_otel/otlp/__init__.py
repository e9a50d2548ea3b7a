"""OTLP's wire forms, in and out of the project's own values.

Knows protobuf and OTLP/JSON; nobody above this room handles a protobuf field. Promises: every one of
the eight `AnyValue` cases survives, ids are lowercase hex, and whatever bytes come in, the only
error that leaves is `BadRequest`.
"""

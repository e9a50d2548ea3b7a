"""From journal to windows: decode, normalise, insert in bulk.

The journal offset is committed in the transaction of the rows it brought, so after a crash at any
moment ingest goes on exactly where the windows end: nothing is lost, nothing is stored twice.

A request that cannot be stored never holds up the others: what cannot be decoded, what our own code
fails at and what kills the process twice is set aside with its bytes and counted.

`rows` turns spans and log records into columns, for the service and for files alike; `texts` cuts long
texts so that each is stored once; `pump` moves frames, `trial` finds out which one is deadly and
`quarantine` keeps what cannot be stored.
"""

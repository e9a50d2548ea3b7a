"""What goes back to the Collector: findings as log records and spans, our own state as metrics.

Promises: every record of the outbox is sent at least once, log records before spans; a Collector
that is down delays and never loses; what it refuses for good is counted and logged, not repeated
for ever. Metrics are samples of now: those of an outage are not made up for.

`outbox` empties the registry's outbox, `client` speaks OTLP/gRPC and says what an answer means, `metrics`
samples the counters and `samples` encodes them. A rotated file of headers goes with the next request. With
`exporters.otlp.enabled: false` none of them is started.
"""

from halo_otel.emitter.client import Client
from halo_otel.emitter.metrics import Metrics
from halo_otel.emitter.outbox import Emitter

__all__ = ["Client", "Emitter", "Metrics"]

"""The section that says when memory runs out; named as the Collector's processor."""

from pydantic import Field

from halo_otel.config import machine
from halo_otel.config.section import Duration, Section


class MemoryLimiter(Section):
    """New requests are refused, the sender may retry, before the kernel would kill a process."""

    check_interval: Duration = Field(
        0.1, gt=0, description="how often memory is looked at, also before a request is read"
    )
    limit_mib: int | None = Field(
        None,
        ge=128,
        description="memory that the service's processes may have together, in MiB; default:"
        " memory_limiter.limit_percentage",
    )
    limit_percentage: int = Field(
        80, ge=1, le=100, description="the same as a share of what the container or the machine has"
    )
    spike_limit_percentage: int = Field(
        20,
        ge=1,
        lt=100,
        description="share of that limit kept free for what is under way: above the rest requests"
        " are refused, above the limit also those that have not come to their end",
    )

    @property
    def limit_bytes(self) -> int:
        """What the service's processes may have together."""
        if self.limit_mib is not None:
            return self.limit_mib << 20
        return machine.memory_bytes() * self.limit_percentage // 100

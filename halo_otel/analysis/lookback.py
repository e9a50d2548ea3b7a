"""What earlier runs found out and is still in sight."""

from collections.abc import Iterable

from halo_otel.analysis.judgement import Judgement
from halo_otel.analysis.usual.profile import Profile, merge
from halo_otel.model.span import TraceId


class Lookback:
    """Judgements and profiles of the traces whose last span or joined log record arrived within the
    lookback.

    In memory only: after a restart the windows are judged again. The profile of a trace that was
    judged twice counts twice, which moves a histogram of thousands by one.
    """

    def __init__(self) -> None:
        self._judgements: dict[TraceId, Judgement] = {}
        self._profiles: list[tuple[int, Profile]] = []  # (latest arrival in it, profile)

    def judged_at(self, trace_id: TraceId) -> int | None:
        """Arrival of the last span or joined log record that the trace's judgement has seen; None if
        it is not judged."""
        judgement = self._judgements.get(trace_id)
        return None if judgement is None else judgement.last_arrival_ns

    def add(self, judgements: Iterable[Judgement], profile: Profile) -> int:
        """Remember; a trace judged again replaces its old judgement. Returns how many spans came late."""
        latest = late = 0
        for judgement in judgements:
            old = self._judgements.get(judgement.trace_id)
            late += 0 if old is None else max(0, judgement.spans - old.spans)
            latest = max(latest, judgement.last_arrival_ns)
            self._judgements[judgement.trace_id] = judgement
        self._profiles.append((latest, profile))
        return late

    def expire(self, before_ns: int) -> None:
        """Forget the traces of which nothing arrived since `before_ns`."""
        self._judgements = {
            trace_id: judgement
            for trace_id, judgement in self._judgements.items()
            if judgement.last_arrival_ns >= before_ns
        }
        self._profiles = [entry for entry in self._profiles if entry[0] >= before_ns]

    def profile(self) -> Profile:
        """Everything learned that is still in sight."""
        return merge(profile for _, profile in self._profiles)

    def judgements(self) -> list[Judgement]:
        """In the order of the trace ids."""
        return [self._judgements[trace_id] for trace_id in sorted(self._judgements)]

"""The engine's own gRPC server: the control API on a unix socket, behind the front's proxy."""

from types import TracebackType

import grpc

from halo_otel._pb.halo.v1 import control_pb2_grpc
from halo_otel.clock import Clock
from halo_otel.control.servicer import Servicer
from halo_otel.control.sources import Sources
from halo_otel.errors import ConfigError

STOP_GRACE_S = 1.0  # for calls that are about to answer; watchers are cut off


class ControlServer:
    """Serves `sources` at `target` (`unix:<path>`, or `host:port`) while entered.

    `port` is the bound TCP port, 0 for a unix socket. Raises ConfigError when the address cannot be
    bound.
    """

    def __init__(self, sources: Sources, clock: Clock, target: str) -> None:
        self._servicer = Servicer(sources, clock)
        self._target = target
        self._server: grpc.aio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> "ControlServer":
        server = grpc.aio.server()
        control_pb2_grpc.add_ControlServicer_to_server(self._servicer, server)
        try:
            bound = server.add_insecure_port(self._target)
        except RuntimeError as error:
            raise ConfigError(
                f"the control API cannot listen at {self._target}: {error}"
            ) from error
        await server.start()
        self._server = server
        self.port = 0 if self._target.startswith("unix:") else bound
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop(STOP_GRACE_S)

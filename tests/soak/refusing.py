"""Stands between Collector and service and answers UNAVAILABLE to a share of the requests."""

from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Lock
from types import TracebackType
from typing import Final, Self

import grpc

from tests.soak.load import METHOD

FORWARD_TIMEOUT_S: Final = 10.0


class Refusing(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # no generic at run time
    """A context manager: a gRPC server on `port` in front of the one on `behind`.

    `share` (0..1) of the requests are refused, chosen by `random`; the others are passed on as they
    are, and so is what comes back.
    """

    def __init__(self, behind: int, share: float, random: Random) -> None:
        self._share, self._random, self._lock = share, random, Lock()
        options = [("grpc.max_receive_message_length", -1)]
        self._server = grpc.server(ThreadPoolExecutor(32), handlers=[self], options=options)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{behind}")
        self._export = self._channel.unary_unary(METHOD, None, None)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self.refused = self.passed = 0

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop(None).wait()
        self._channel.close()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        with self._lock:
            refuse = self._random.random() < self._share
            self.refused += refuse
            self.passed += not refuse
        if refuse:
            context.abort(grpc.StatusCode.UNAVAILABLE, "refused by chance")
        try:
            answer: bytes = self._export(request, timeout=FORWARD_TIMEOUT_S)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details() or "")
        return answer

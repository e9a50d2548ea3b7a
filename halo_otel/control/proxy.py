"""The control API on the front's port: calls go to the engine as bytes, answers come back as bytes."""

from collections.abc import AsyncIterator
from typing import Any, Final

import grpc

from halo_otel._pb.halo.v1 import control_pb2 as pb
from halo_otel.control.answering import Context

_SERVICE: Final = pb.DESCRIPTOR.services_by_name["Control"]
SERVICE_NAME: Final[str] = _SERVICE.full_name

_CHANNEL_OPTIONS: Final = (
    # Reports have no bound of their own, and the engine is ours.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # The engine's socket appears a moment after the front's port; gRPC would back off to minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class PassThrough(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in stubs only
    """Forwards every method of `halo.v1.Control` to the server at `target`.

    Deadlines, cancellation, metadata and statuses with their details are carried over. While nothing
    listens at `target` the answer is UNAVAILABLE. The channel is opened by the first call, in the
    event loop of the server; `close` ends it.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self._channel: grpc.aio.Channel | None = None
        self._handlers = {
            f"/{SERVICE_NAME}/{method.name}": self._handler(
                f"/{SERVICE_NAME}/{method.name}", method
            )
            for method in _SERVICE.methods
        }

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """The handler of a method of ours, `None` for any other."""
        return self._handlers.get(details.method)

    async def close(self) -> None:
        """End the connection to the engine. Safe twice and unused."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)

    def _handler(self, path: str, method: Any) -> "grpc.RpcMethodHandler[Any, Any]":
        """Handlers without (de)serialisers take and give bytes."""

        async def unary(request: bytes, context: Context) -> bytes:
            channel = self._open()
            try:
                call = channel.unary_unary(path, None, None)
                answer: bytes = await call(request, **_carried(context))
            except grpc.aio.AioRpcError as error:
                await self._refuse(channel, error, context)
            return answer

        async def stream(request: bytes, context: Context) -> AsyncIterator[bytes]:
            channel = self._open()
            try:
                call = channel.unary_stream(path, None, None)
                async for answer in call(request, **_carried(context)):
                    yield answer
            except grpc.aio.AioRpcError as error:
                await self._refuse(channel, error, context)

        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=_CHANNEL_OPTIONS)
        return self._channel

    async def _refuse(
        self, channel: grpc.aio.Channel, error: grpc.aio.AioRpcError, context: Context
    ) -> None:
        """End the caller's call as the engine ended ours."""
        details = error.details() or ""
        if (
            error.code() is grpc.StatusCode.UNAVAILABLE
            and channel.get_state() is not grpc.ChannelConnectivity.READY
        ):
            details = "the engine is starting or stopping: try again in a moment"
        trailing: Any = error.trailing_metadata() or ()
        await context.abort(error.code(), details, tuple(trailing))


def pass_through(target: str) -> PassThrough:
    """A handler for the front's server; `target` is the engine's, e.g. `unix:/run/halo/control`."""
    return PassThrough(target)


def _carried(context: Context) -> dict[str, Any]:
    """Deadline and metadata of the caller, for the call behind it.

    `user-agent` and `grpc-…` belong to the connection and are set anew by gRPC; a token was meant for
    this door.
    """
    given: Any = context.invocation_metadata() or ()
    metadata = tuple(
        (key, value)
        for key, value in given
        if key not in ("authorization", "user-agent") and not key.startswith("grpc-")
    )
    return {"timeout": context.time_remaining(), "metadata": metadata}

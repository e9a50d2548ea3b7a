"""The one place where an error becomes a gRPC status."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc

from halo_otel.errors import BadRequest, HaloError, NotFound, Retryable

logger = logging.getLogger(__name__)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


@asynccontextmanager
async def answering(context: Context) -> AsyncIterator[None]:
    """Ends the call with a status when the body raises.

    NotFound → NOT_FOUND, BadRequest → INVALID_ARGUMENT, any Retryable → UNAVAILABLE, any other
    Permanent → FAILED_PRECONDITION. What nobody foresaw is logged and becomes INTERNAL: gRPC would
    say UNKNOWN and hide where it came from.
    """
    try:
        yield
    except HaloError as error:
        await context.abort(_code(error), str(error))
    except grpc.aio.BaseError:
        raise  # abort() itself, and calls that ended meanwhile
    except Exception:  # the edge of the service: see above
        logger.exception("a control call failed")
        await context.abort(grpc.StatusCode.INTERNAL, "internal error: the service's log has it")


def _code(error: HaloError) -> grpc.StatusCode:
    match error:
        case NotFound():
            return grpc.StatusCode.NOT_FOUND
        case BadRequest():
            return grpc.StatusCode.INVALID_ARGUMENT
        case Retryable():
            return grpc.StatusCode.UNAVAILABLE
        case _:
            return grpc.StatusCode.FAILED_PRECONDITION

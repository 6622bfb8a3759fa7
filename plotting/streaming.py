"""Answers that are sent while they are made, and what becomes of one that cannot go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from django.http import StreamingHttpResponse
from django.utils.cache import patch_vary_headers

from plotting.encoding import encode_parts
from plotting.tables import RowsReplaced

logger = logging.getLogger(__name__)


def stream(
    content: AsyncGenerator[bytes], *, content_type: str, encoding: str | None
) -> StreamingHttpResponse:
    """An answer of these parts; an error among them leaves it without an end."""
    body = content if encoding is None else encode_parts(content, encoding)
    response = StreamingHttpResponse(_break_off(body), content_type=content_type)
    patch_vary_headers(response, ["Accept-Encoding"])
    if encoding is not None:
        response["Content-Encoding"] = encoding
    return response


async def _break_off(content: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The parts; an error becomes a cancellation.

    Either way the server is left with a body that has no end, and cuts the connection. But after
    an error Django closes nothing that belongs to the request, and the pool would lose the
    request's connection to the database.
    """
    async with aclosing(content):
        try:
            async for part in content:
                yield part
        except RowsReplaced as replaced:
            logger.warning("An export broke off: %s", replaced)
            raise asyncio.CancelledError from replaced
        except Exception as error:  # the outermost edge: nobody above handles it
            logger.exception("An answer broke off.")
            raise asyncio.CancelledError from error

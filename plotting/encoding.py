"""Content encoding of answers: for other machines that ask for it, in bounded memory."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, closing
from typing import Protocol

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

GZIP = 16 + zlib.MAX_WBITS
# A smaller answer is one packet either way.
LEAST_BYTES = 1_000


class Encoder(Protocol):
    def add(self, data: bytes) -> bytes:
        """All of the data, so that the other end can read it at once."""

    def end(self) -> bytes: ...

    def close(self) -> None:
        """Let go of what it holds, also when there was no end."""


class Gzip:
    def __init__(self) -> None:
        self._packer = zlib.compressobj(level=1, wbits=GZIP)

    def add(self, data: bytes) -> bytes:
        return self._packer.compress(data) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._packer.flush()

    def close(self) -> None:
        pass


class Zstd:
    """pyarrow's, at its default level 1."""

    def __init__(self) -> None:
        import pyarrow as pa

        from plotting.arrow import Pipe

        self._pipe = Pipe()
        self._stream = pa.CompressedOutputStream(self._pipe, "zstd")

    def add(self, data: bytes) -> bytes:
        self._stream.write(data)
        self._stream.flush()
        return self._pipe.take()

    def end(self) -> bytes:
        self._stream.close()
        return self._pipe.take()

    def close(self) -> None:
        self._stream.close()


# The better first: level 1 of zstd is ten times as fast on floats.
ENCODERS: dict[str, Callable[[], Encoder]] = {"zstd": Zstd, "gzip": Gzip}


def choose_encoding(request: HttpRequest) -> str | None:
    """What to encode the answer with; None on the server's own machine, where bytes cost less."""
    if _is_here(request.META.get("REMOTE_ADDR", "")):
        return None
    weights = _weights(request.headers.get("Accept-Encoding", ""))
    plain = weights.get("identity", 0.0)
    offered = {name: weights.get(name, weights.get("*", 0.0)) for name in ENCODERS}
    best = max(offered, key=lambda name: offered[name])
    return best if offered[best] > 0 and offered[best] >= plain else None


async def encode_parts(content: AsyncGenerator[bytes], name: str) -> AsyncGenerator[bytes]:
    """Each part encoded and flushed; threads do it, for it takes longer than the event loop may."""
    encoder = await sync_to_async(ENCODERS[name])()
    with closing(encoder):
        async with aclosing(content):
            async for part in content:
                yield await sync_to_async(encoder.add)(part)
        yield await sync_to_async(encoder.end)()


def encode_whole(response: HttpResponse, name: str | None) -> None:
    """Encode an answer that is there already."""
    patch_vary_headers(response, ["Accept-Encoding"])
    if name is not None and len(response.content) >= LEAST_BYTES:
        encoder = ENCODERS[name]()
        response.content = encoder.add(response.content) + encoder.end()
        response["Content-Encoding"] = name


def _is_here(peer: str) -> bool:
    """Also without an address: a Unix socket."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return not peer
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _weights(header: str) -> dict[str, float]:
    """Of each coding in an Accept-Encoding header; what cannot be read counts as 0."""
    weights = {}
    for entry in header.lower().split(","):
        coding, _, parameter = entry.partition(";")
        key, _, weight = parameter.partition("=")
        try:
            weights[coding.strip()] = float(weight) if key.strip() == "q" else 1.0
        except ValueError:
            weights[coding.strip()] = 0.0
    return weights

"""HTTP/1.1 as uvicorn speaks it, with a bound on heads, trailers and extensions of chunks.

httptools joins the parts of an unfinished header, and of whatever else is no body, for as long as
they come: memory without end, and time that grows with its square. Bodies are bounded by
`limits.py`, where they are taken apart already.
"""

from __future__ import annotations

import json

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024


class BoundedHttp(HttpToolsProtocol):
    """431, and the connection is closed, after 64 KiB of which nothing came to an end."""

    _unfinished = 0

    def data_received(self, data: bytes) -> None:
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > HEAD_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_headers_complete(self) -> None:
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        super().on_message_complete()

    def _refuse(self) -> None:
        answered = getattr(self.cycle, "response_complete", True)  # no cycle: no request yet
        if answered:  # else the two answers would be mixed
            self.transport.write(_answer())
        self.transport.close()


def _answer() -> bytes:
    message = f"The head of a request may have {HEAD_BYTES:,} bytes."
    body = json.dumps({"code": "too_large", "message": message, "limit": HEAD_BYTES}).encode()
    head = (
        "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body

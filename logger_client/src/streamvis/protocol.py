"""The appending side of docs/formats/append.md, as a state machine without I/O or a clock.

`next_request` says what to send, `answered` takes the answer and says what now. There is one
request at a time, and each begins at the last acknowledged row of every series, so a request
that may or may not have arrived is simply built again: the server's cursor sorts it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .batch import Lost, Piece
from .fitting import fitted
from .frames import MAX_ROWS, encode
from .operations import MAX_OPS, Operations
from .request import MAX_REASON, Handles, Request, Sent, encoded, overhead
from .stream import Diverged, Gap, MaybeChains, Stream, chained

BODY_BYTES = 7 << 20  # the server takes 8 MiB
MAX_FRAMES = 900  # of 1,000


class Verdict(Enum):
    GO_ON = "go on"  # ask for the next request at once
    LATER = "later"  # nothing was learnt; try again after a while
    STOPPED = "stopped"  # this run takes nothing more from this writer


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that was written and will not be stored, to be told to the user."""

    series: str
    rows: int
    reason: str


class Core:
    """The state of one writer in one generation of one run."""

    def __init__(self, writer: str, *, chunk_rows: int = 100_000, body_bytes: int = BODY_BYTES):
        self.writer = writer
        self.generation: int | None = None
        self.stopped: str | None = None  # why, once it is
        self.losses: list[Loss] = []
        self.lost_rows = 0
        self.ops = Operations()
        self._final: dict[str, Any] | None = None
        self._streams: dict[str, Stream] = {}
        self._handles: dict[str, Handles] = {}
        self._abandoned: dict[str, str] = {}  # series -> why
        self._abandoned_rows: dict[str, int] = {}  # series -> rows that came, before and since
        self._settled_elsewhere = 0  # rows acknowledged in series that were given up later
        self._resumed: dict[str, int] = {}
        self._chunk_rows = min(chunk_rows, MAX_ROWS)
        self._most_bytes = self._limit_bytes = body_bytes

    def resume(self, cursors: Mapping[str, int], ops: int) -> None:
        """Go on from where the server is, with a writer that begins here without a memory.

        `cursors` by the series' handles. To be called before anything is pushed.
        """
        self._resumed = dict(cursors)
        self.ops.first = ops

    def end_of(self, series: str) -> int:
        """How many rows of this series came here, given up ones included."""
        if series in self._abandoned:
            return self._abandoned_rows[series]
        return self._stream(series).end

    def push_at(self, series: str, first: int, part: Piece | Lost) -> bool:
        """Push what of `part`, whose rows begin at `first`, did not come before.

        False when rows before it are missing; then nothing is pushed.
        """
        end = self.end_of(series)
        if first > end:
            return False
        known, rows = end - first, part.rows
        if known < rows:
            rest = part.slice(known, rows) if isinstance(part, Piece) else part.after(known)
            self.push(series, rest)
        return True

    def contents(self) -> Iterator[tuple[str, int, Piece | Gap]]:
        """(series, first row, what is there) of all that is not acknowledged."""
        for series, stream in self._streams.items():
            first = stream.first
            for item in stream.items():
                yield series, first, item
                first += item.rows

    def push(self, series: str, part: Piece | Lost) -> None:
        handles = self._handles.get(series)
        if handles is not None and handles.types and isinstance(part, Piece):
            fitting = fitted(part, handles.types)
            part = Lost(part.rows, fitting) if isinstance(fitting, str) else fitting
        if series in self._abandoned:
            self._abandoned_rows[series] += part.rows
            self._tell(series, part.rows, self._abandoned[series])
        elif isinstance(part, Lost):
            self._stream(series).lose(part.rows, part.reason)
            self._tell(series, part.rows, part.reason)
        elif part.rows:
            self._stream(series).push(part)

    def finish(self, state: str) -> None:
        """Send this state once everything else has been sent."""
        self._final = {"op": "state", "state": state}

    def know(self, series: str, handles: Handles) -> None:
        """From now on this series can be sent; what came before is brought into its types."""
        unknown = series not in self._handles
        self._handles[series] = handles
        if handles.series in self._resumed:
            self._stream(series).resume(self._resumed.pop(handles.series))
        elif unknown and handles.types and series in self._streams:
            lost = self._streams[series].refit(lambda part: fitted(part, handles.types))
            for rows, reason in lost:
                self._tell(series, rows, reason)

    @property
    def unknown_series(self) -> list[str]:
        """The series with rows here that cannot be sent yet."""
        return [series for series in self._streams if series not in self._handles]

    def abandon(self, series: str, reason: str) -> None:
        """Give up a series that the server does not take at all, not even a skip."""
        stream = self._streams.pop(series, None)
        self._abandoned[series] = reason
        self._abandoned_rows[series] = stream.end if stream else 0
        if stream is not None:
            self._settled_elsewhere += stream.stored
            self._tell(series, stream.held_rows, reason)

    def drop_oldest(self, nbytes: int, reason: str) -> int:
        """Free about `nbytes` by giving up rows that were never sent; answers their number."""
        dropped = 0
        for series, stream in sorted(self._streams.items(), key=lambda each: -each[1].nbytes):
            before = stream.nbytes
            rows = stream.drop_unsent(nbytes, reason)
            nbytes -= before - stream.nbytes
            dropped += rows
            self._tell(series, rows, reason)
            if nbytes <= 0:
                break
        return dropped

    @property
    def nbytes(self) -> int:
        return sum(stream.nbytes for stream in self._streams.values())

    @property
    def pending_rows(self) -> int:
        return sum(stream.held_rows for stream in self._streams.values())

    @property
    def acknowledged_rows(self) -> int:
        return self._settled_elsewhere + sum(each.stored for each in self._streams.values())

    @property
    def sent_rows(self) -> int:
        return sum(stream.sent_end for stream in self._streams.values())

    @property
    def drained(self) -> bool:
        done = all(self._done(series, each) for series, each in self._streams.items())
        return done and not (self.ops.pending or self._final)

    def _done(self, series: str, stream: Stream) -> bool:
        """Nothing to send: all is acknowledged, or only gaps of a series the server has not."""
        lacking = series not in self._handles and not stream.held_rows
        return stream.first == stream.end or lacking

    def settled(self, totals: Mapping[str, int], ops_end: int) -> bool:
        """Is everything up to these numbers of rows and operations acknowledged or given up?"""
        return self.ops.first >= ops_end and all(
            self._settled(series, total) for series, total in totals.items()
        )

    def _settled(self, series: str, total: int) -> bool:
        stream = self._streams.get(series)
        if stream is None:
            return self._abandoned_rows.get(series, 0) >= total
        return stream.first >= total or (stream.end >= total and self._done(series, stream))

    def _stream(self, series: str) -> Stream:
        return self._streams.setdefault(series, Stream())

    def _tell(self, series: str, rows: int, reason: str) -> None:
        if rows:
            self.lost_rows += rows
            self.losses.append(Loss(series, rows, reason))

    def next_request(self, *, heartbeat: bool = False) -> Request | None:
        """What to send next; None when there is nothing, or nothing can be sent yet."""
        if self.stopped or self.generation is None:
            return None
        request, budget = Request(), self._limit_bytes
        request.ops, used = self.ops.fitting(budget)
        budget -= used
        bodies, complete = self._put_rows(request, budget)
        if complete and self._final and request.ops == len(self.ops.pending) < MAX_OPS:
            self.ops.add(self._final)
            self._final = None
            request.ops += 1
        if not (request.frames or request.ops or heartbeat):
            return None
        request.body = b"".join((self._head(request.ops), *bodies))
        return request

    def _head(self, ops: int) -> bytes:
        keys: dict[str, Any] = {"generation": self.generation, "writer": self.writer}
        if ops:
            keys["meta"] = {"first": self.ops.first, "ops": self.ops.pending[:ops]}
        return encode("append", keys)

    def _put_rows(self, request: Request, budget: int) -> tuple[list[bytes], bool]:
        """Frames of all series while the budget lasts; and whether that was everything."""
        bodies: list[bytes] = []
        complete = True
        for series, stream in self._streams.items():
            handles = self._handles.get(series)
            if handles is None:
                complete = complete and self._done(series, stream)
                continue
            for sent, body, chains in self._frames(series, stream, handles):
                if (request.frames or request.ops) and len(body) > budget:
                    return bodies, False
                budget -= len(body)
                bodies.append(body)
                self._note(request, stream, sent, chains)
                if len(request.frames) >= MAX_FRAMES:
                    return bodies, False
        return bodies, complete

    def _note(self, request: Request, stream: Stream, sent: Sent, chains: MaybeChains) -> None:
        end = sent.first + sent.rows
        request.frames.append(sent)
        request.chains.setdefault(sent.series, {})[end] = chains
        stream.sent_end = max(stream.sent_end, end)

    def _frames(
        self, series: str, stream: Stream, handles: Handles
    ) -> Iterator[tuple[Sent, bytes, MaybeChains]]:
        first, chains = stream.first, stream.chains
        for item in stream.items():
            for part in [item] if isinstance(item, Gap) else self._fitting(item):
                chains = chained(part, chains)
                sent = Sent(series, first, part.rows, isinstance(part, Gap))
                yield sent, encoded(sent, part, handles, chains), chains
                first += part.rows

    def _fitting(self, item: Piece) -> Iterator[Piece]:
        """The piece in parts that fit a request each."""
        start = 0
        limit = max(1, self._limit_bytes - overhead(item))
        while start < item.rows:
            rows = min(item.rows - start, self._chunk_rows)
            per_row = item.nbytes / item.rows
            rows = max(1, min(rows, int(limit / per_row) if per_row * rows > limit else rows))
            part = item.slice(start, start + rows)
            while part.nbytes > limit and part.rows > 1:
                part = part.slice(0, part.rows // 2)
            yield part
            start += part.rows

    def answered(self, request: Request, status: int, body: Mapping[str, Any]) -> Verdict:
        """What the server said about `request`; `body` is empty when it was no JSON object."""
        code = body.get("code")
        try:
            if status == 200:
                return self._accepted(request, body)
            if status == 410 or (status == 409 and code in ("stale_generation", "diverged")):
                return self._stop(str(body.get("message") or code or "the run is gone"))
            if status == 409 and "cursors" in body:
                return self._resume(body)
            if status == 413:
                return self._too_large(request)
            if status in (400, 422) and code:
                return self._refused(request, body)
        except Diverged:
            return self._stop("the server has rows of this writer that were never sent from here")
        return Verdict.LATER

    def _stop(self, reason: str) -> Verdict:
        self.stopped = reason
        return Verdict.STOPPED

    def _accepted(self, request: Request, body: Mapping[str, Any]) -> Verdict:
        if not isinstance(body.get("cursors"), dict):
            return Verdict.LATER
        moved = self._acknowledge(body, request.chains)
        self._limit_bytes = min(self._most_bytes, self._limit_bytes * 2)
        idle = not (request.frames or request.ops)
        return Verdict.GO_ON if moved or idle else Verdict.LATER

    def _acknowledge(
        self, body: Mapping[str, Any], chains: Mapping[str, Mapping[int, MaybeChains]]
    ) -> bool:
        moved = self.ops.acknowledge(int(body.get("meta", self.ops.first)))
        for series, stream in self._streams.items():
            handles = self._handles.get(series)
            if handles is None:
                continue
            cursor = int(body["cursors"].get(handles.series, 0))
            moved = stream.acknowledge(cursor, chains.get(series, {})) > 0 or moved
        return moved

    def _resume(self, body: Mapping[str, Any]) -> Verdict:
        """A gap: go back to where the server is, and declare what is no longer here."""
        moved = self._acknowledge(body, {})
        for series, stream in self._streams.items():
            handles = self._handles.get(series)
            if handles is None:
                continue
            cursor = int(body["cursors"].get(handles.series, 0))
            if cursor < stream.first:
                rows = stream.rewind(cursor)
                self._tell(series, rows, "the server no longer had these rows")
                moved = True
        rewound = self.ops.rewind(int(body.get("meta", self.ops.first)))
        return Verdict.GO_ON if rewound or moved else Verdict.LATER

    def _too_large(self, request: Request) -> Verdict:
        """Send half as much; what is too large alone is given up."""
        reason = "the server takes no request as large as this alone needs (413)"
        if len(request.frames) + request.ops > 1 or request.rows > 1:
            self._limit_bytes = max(1, min(self._limit_bytes, len(request.body)) // 2)
        elif request.ops:
            return self._give_up_op(0, reason)
        elif request.rows:
            return self._give_up_frame(request.frames[0], reason)
        else:
            return Verdict.LATER
        return Verdict.GO_ON

    def _refused(self, request: Request, body: Mapping[str, Any]) -> Verdict:
        """Not legal: set aside what is named, and send the rest again."""
        reason = f"refused by the server: {body.get('message') or body['code']}"[:MAX_REASON]
        op = body.get("op")
        if isinstance(op, int) and 0 <= op < request.ops:
            return self._give_up_op(op, reason)
        sent = self._named_frame(request, body)
        if sent is None:
            return self._too_large(request)
        if body["code"] == "unknown_series":
            self.abandon(sent.series, reason)
            return Verdict.GO_ON
        return self._give_up_frame(sent, reason)

    def _named_frame(self, request: Request, body: Mapping[str, Any]) -> Sent | None:
        index = body.get("frame")
        if isinstance(index, int) and 1 <= index <= len(request.frames):
            return request.frames[index - 1]
        named = body.get("series")
        for sent in request.frames:
            if named in (sent.series, self._handles[sent.series].series):
                return sent
        return None

    def _give_up_frame(self, sent: Sent, reason: str) -> Verdict:
        if sent.skip:
            self.abandon(sent.series, reason)
            return Verdict.GO_ON
        lost = self._streams[sent.series].set_aside(sent.first, sent.rows, reason)
        self._tell(sent.series, lost, reason)
        return Verdict.GO_ON

    def _give_up_op(self, index: int, reason: str) -> Verdict:
        op = self.ops.give_up(index, reason)
        if op is None:
            return Verdict.LATER
        self.losses.append(Loss("", 0, f"operation {op['op']}: {reason}"))
        return Verdict.GO_ON

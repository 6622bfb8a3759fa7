"""A Streamvis server in this process: the formats' rules, a real socket, and faults on demand.

`faults` is a list of what happens to the next requests whose path contains `fault_path`, one
each: "drop" (stored, then the connection is cut), "cut" (cut before), "html" (a foreign server's
404), "redirect", or an HTTP status with `fault_body` and `fault_headers`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from streamvis import frames
from tests.logger_client.fake_core import RunCore, Writer

TYPES = ("int", "float", "text", "bool")
STARTED = "2025-01-01T00:00:{:02d}+00:00"


class FakeServer:
    def __init__(self) -> None:
        self.fields: dict[str, dict[str, Any]] = {}
        self.series: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, RunCore] = {}
        self.nonces: dict[tuple[str, str], int] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.faults: list[Any] = []
        self.fault_path = "/append"
        self.fault_body: dict[str, Any] = {}
        self.fault_headers: dict[str, str] = {}
        self.token: str | None = None
        self.slow_secs = 0.0
        self.max_body = 8 << 20
        self.tags: dict[str, list[str]] = {}
        self.deleted: list[str] = []
        self.data_cuts: list[int] = []  # end the next answers of data/ after so many bytes
        self.data_reset: str | None = None  # tell this run's reset once
        self.lock = threading.Lock()
        self.connections: set[socket.socket] = set()
        self._http: ThreadingHTTPServer | None = None
        self.port = 0
        self.up()

    def up(self) -> None:
        """Listen; again on the same port after `down`."""
        handler = type("Handler", (_Handler,), {"world": self})
        self._http = _Http(("127.0.0.1", self.port), handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def rows(self, run: str, series: str) -> list[dict[str, Any]]:
        """All rows of a run's present generation, writer by writer, by field name."""
        handle, names = self._names(series)
        core = self.runs[run]
        return [
            {names[key]: value for key, value in row.items()}
            for writer in core.writers.values()
            if handle in writer.streams
            for _, row in writer.streams[handle].rows
        ]

    def column(self, run: str, series: str, name: str) -> list[Any]:
        return [row[name] for row in self.rows(run, series)]

    def gaps(self, run: str, series: str) -> list[tuple[int, int, str]]:
        handle, _ = self._names(series)
        writers = self.runs[run].writers.values()
        return [gap for w in writers if handle in w.streams for gap in w.streams[handle].gaps]

    def ops(self, run: str) -> list[dict[str, Any]]:
        return [op for writer in self.runs[run].writers.values() for op in writer.ops]

    def appends(self) -> list[list[frames.Frame]]:
        """The messages of all append requests, decoded."""
        return [frames.decode(body) for _, path, _, body in self.requests if "/append" in path]

    def _names(self, series: str) -> tuple[str, dict[str, str]]:
        entry = self.series[series]
        return entry["handle"], {field["handle"]: field["name"] for field in entry["fields"]}

    def core_series(self) -> dict[str, dict[str, str]]:
        return {
            entry["handle"]: {each["handle"]: each["data_type"] for each in entry["fields"]}
            for entry in self.series.values()
        }

    def make_field(self, name: str, data_type: str, **more: Any) -> dict[str, Any]:
        assert data_type in TYPES
        entry = {"handle": str(uuid.uuid4()), "name": name, "data_type": data_type}
        entry |= {"description": "", "unit": None, "created_at": STARTED.format(0), **more}
        self.fields[name] = entry
        return entry

    def make_series(self, name: str, fields: dict[str, str]) -> dict[str, Any]:
        made = [self.fields.get(key) or self.make_field(key, kind) for key, kind in fields.items()]
        entry = {"handle": str(uuid.uuid4()), "name": name, "fields": made}
        entry["created_at"] = STARTED.format(0)
        self.series[name] = entry
        for core in self.runs.values():
            core.series = self.core_series()
        return entry

    def route(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> Any:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match (method, *parts):
            case ("GET", "fields" | "series" as what):
                entries = list(getattr(self, what).values())
                if names := query.pop("name", None):
                    entries = [each for each in entries if each["name"] == names[0]]
                return 200, self.listed(entries, query)
            case ("POST", "fields", "ensure"):
                return self.ensure_field(body)
            case ("POST", "fields"):
                if body["name"] in self.fields:
                    return 409, error("name_taken", existing=self.fields[body["name"]])
                return 201, self.make_field(**body)
            case ("POST", "series", "ensure"):
                return self.ensure_series(body)
            case ("POST", "series"):
                unknown = [name for name in body["fields"] if name not in self.fields]
                if unknown:
                    return 422, error("unknown_field", message=f"unknown: {', '.join(unknown)}")
                return 201, self.make_series(body["name"], dict.fromkeys(body["fields"], "int"))
            case ("POST", "runs", "search"):
                return self.search(body)
            case ("POST", "runs", handle, "open"):
                return 200, self.open(handle, **body)
            case ("GET", "runs", handle, "cursors"):
                core = self.runs.get(handle)
                if core is None or core.gone:
                    return 410, error("run_gone")
                return 200, core.answer(query["writer"][0])
            case (_, "runs", handle, *rest) if handle in self.runs:
                return self.run_call(method, handle, rest, body)
            case _:
                return 404, error("not_found", message=f"no {path}")

    def listed(self, entries: list[Any], query: dict[str, list[str]]) -> dict[str, Any]:
        """Two a page, whatever was asked for, so that paging is always tried."""
        start = int(query.get("cursor", ["0"])[0])
        following = str(start + 2) if start + 2 < len(entries) else None
        return {"results": entries[start : start + 2], "next": following}

    def ensure_field(self, body: dict[str, Any]) -> Any:
        known = self.fields.get(body["name"])
        if known and known["data_type"] != body["data_type"]:
            return 409, error("differs", message=f"field {body['name']} has another type")
        return 200, known or self.make_field(**body)

    def ensure_series(self, body: dict[str, Any]) -> Any:
        name, fields = body["name"], body["fields"]
        types = fields if isinstance(fields, dict) else {}
        unknown = [key for key in fields if key not in types and key not in self.fields]
        if unknown:
            return 422, error("unknown_field", message=f"unknown: {', '.join(unknown)}")
        for key, kind in types.items():
            if key in self.fields and self.fields[key]["data_type"] != kind:
                return 409, error("differs", message=f"field {key} has another type")
        known = self.series.get(name)
        if known and {each["name"] for each in known["fields"]} != set(fields):
            return 409, error("differs", message=f"series {name} has other fields")
        return 200, known or self.make_series(name, {key: types.get(key, "") for key in fields})

    def open(self, handle: str, replace: bool, nonce: str) -> dict[str, Any]:
        known = self.runs.get(handle)
        if (handle, nonce) not in self.nonces:
            if known is None:
                known = self.runs[handle] = RunCore(self.core_series())
            elif replace or known.gone:
                known.replace()
                known.gone = False
            self.nonces[handle, nonce] = known.generation
        generation = self.nonces[handle, nonce]
        started = STARTED.format(list(self.runs).index(handle))
        return {"run": handle, "generation": generation, "created": True, "started_at": started}

    def run_call(self, method: str, handle: str, rest: list[str], body: Any) -> Any:
        core, tags = self.runs[handle], self.tags.setdefault(handle, [])
        match (method, *rest):
            case ("GET",):
                return 200, self.run_entry(handle)
            case ("DELETE",):
                was, core.gone = core.gone, True
                return 200, {"deleted": int(not was), "rows": 0 if was else self.count(handle)}
            case ("POST", "restore"):
                core.gone = False
                return 200, self.run_entry(handle)
            case ("POST", "tags"):
                new = [tag for tag in body["tags"] if tag not in self.run_entry(handle)["tags"]]
                tags.extend(new)
                return 200, {"added": len(new)}
            case ("DELETE", "tags"):
                had = [tag for tag in body["tags"] if tag in tags]
                self.tags[handle] = [tag for tag in tags if tag not in had]
                return 200, {"removed": len(had)}
            case ("POST", "attributes"):
                writer = core.writers.setdefault("api", Writer())
                writer.ops.append({"op": "set_attributes", "values": body["values"]})
                return 200, self.run_entry(handle)
            case _:
                return 404, error("not_found")

    def count(self, handle: str) -> int:
        return sum(len(self.rows(handle, name)) for name in self.series)

    def run_entry(self, handle: str) -> dict[str, Any]:
        attributes, tags, state = {}, list(self.tags.get(handle, [])), "running"
        by_name = {each["name"]: each["handle"] for each in self.fields.values()}
        for op in self.ops(handle):
            if op["op"] == "set_attributes":
                attributes |= {by_name.get(key, key): v for key, v in op["values"].items()}
            elif op["op"] == "add_tags":
                tags += [tag for tag in op["tags"] if tag not in tags]
            elif op["op"] == "state":
                state = op["state"]
        rows = {
            entry["handle"]: len(self.rows(handle, name)) for name, entry in self.series.items()
        }
        entry = {"handle": handle, "generation": self.runs[handle].generation, "owner": "me"}
        entry |= {"started_at": STARTED.format(list(self.runs).index(handle)), "state": state}
        return entry | {"tags": tags, "attributes": attributes, "rows": rows}

    def matching(self, wanted: dict[str, Any] | None) -> list[str]:
        wanted = wanted or {}
        handles = wanted.get("handles")
        tags = (wanted.get("tags") or {}).get("all", [])
        return [
            run
            for run, core in self.runs.items()
            if not core.gone
            and (handles is None or run in handles)
            and set(tags) <= set(self.run_entry(run)["tags"])
            and (self.count(run) or wanted.get("with_rows", True) is None)
        ]

    def search(self, body: dict[str, Any]) -> Any:
        entries = [self.run_entry(run) for run in self.matching(body["filter"])]
        return 200, self.listed(entries, {"cursor": [str(body.get("cursor") or 0)]})

    def data(self, body: dict[str, Any]) -> bytes:
        entry = self.series[body["series"]]
        window = body.get("window")
        fields = [
            in_windows(each) if window else each
            for each in entry["fields"]
            if body["fields"] is None or each["name"] in body["fields"]
        ]
        attributes = [self.fields[name] for name in body["attributes"]]
        cursor = body.get("cursor", {})
        runs = [{**self.run_entry(run), "run": run} for run in self.matching(body["filter"])]
        for run in runs:
            run["rows"] = len(self.rows(run["run"], body["series"]))
        gone = [
            {"run": run, "reason": "replaced"}
            for run, (generation, _) in cursor.items()
            if run in self.runs and self.runs[run].generation != generation
        ]
        head = {"series": {"handle": entry["handle"], "name": entry["name"]}, "fields": fields}
        message = frames.encode(
            "data", {**head, "attributes": attributes, "runs": runs, "gone": gone}
        )
        end = {}
        for run in runs:
            handle, generation = run["run"], self.runs[run["run"]].generation
            known = cursor.get(handle, [0, 0])
            first = known[1] if known[0] == generation else 0
            message += self._row_frames(
                handle, means(self.rows(handle, body["series"]), window), fields, generation, first
            )
            if self.data_reset == handle:
                self.data_reset = None
                message += frames.encode("reset", {"run": handle})
                self.runs[handle].generation += 1
            else:
                end[handle] = [generation, run["rows"]]
        return message + frames.encode("end", {"cursor": end, "more": False})

    def _row_frames(
        self, run: str, rows: list[Any], fields: list[Any], generation: int, first: int
    ) -> bytes:
        message = b""
        for start in range(first, len(rows), 3):
            part = rows[start : start + 3]
            columns = [
                (
                    field["handle"],
                    as_column(field["data_type"], [row[field["name"]] for row in part]),
                )
                for field in fields
            ]
            keys = {"run": run, "generation": generation, "first": start}
            message += frames.encode_rows(keys, len(part), columns)
        return message


def in_windows(field: dict[str, Any]) -> dict[str, Any]:
    return {**field, "data_type": "float"} if field["data_type"] == "int" else field


def means(rows: list[Any], window: dict[str, Any] | None) -> list[Any]:
    """Windows in the order of the rows; the rows themselves without a window."""
    if window is None:
        return rows
    size = window["size"]
    found = [rows[stop - size : stop] for stop in range(size, len(rows) + 1, window["stride"])]
    return [{name: mean([row[name] for row in part]) for name in part[0]} for part in found]


def mean(values: list[Any]) -> Any:
    return values[0] if isinstance(values[0], str | bool) else sum(values) / len(values)


def as_column(data_type: str, values: list[Any]) -> frames.Column:
    if data_type == "text":
        words = tuple(value.encode() for value in values)
        return frames.Column("text", np.arange(len(words), dtype="u1"), words=words)
    dtype = {"int": "<i8", "float": "<f8", "bool": "u1"}[data_type]
    return frames.Column(data_type, np.array(values, dtype=dtype))  # type: ignore[arg-type]


def error(code: str, **more: Any) -> dict[str, Any]:
    return {"code": code, "message": code, "hint": f"hint for {code}", **more}


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet, or each answer waits for an ACK
    world: FakeServer

    def setup(self) -> None:
        super().setup()
        self.world.connections.add(self.connection)

    def finish(self) -> None:
        self.world.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle_one(self) -> None:
        world = self.world
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        path = url.path.removeprefix("/api/v1/")
        with world.lock:
            world.requests.append((self.command, path, dict(self.headers), body))
            fault = world.faults.pop(0) if world.faults and world.fault_path in self.path else None
        time.sleep(world.slow_secs)
        if fault is not None and fault != "drop" and self.misbehave(fault):
            return
        with world.lock:
            answer = self.answer(path, parse_qs(url.query), body)
        if fault == "drop":
            self.close_connection = True
            return
        self.reply(*answer)

    do_GET = do_POST = do_DELETE = handle_one

    def misbehave(self, fault: Any) -> bool:
        if fault == "cut":
            self.close_connection = True
        elif fault == "html":
            self.reply(404, b"<html>not here</html>", "text/html")
        elif fault == "redirect":
            self.reply(302, b"", "text/html", {"Location": f"{self.world.url}/elsewhere"})
        elif fault == "ok html":
            self.reply(200, b"<html>welcome</html>", "text/html")
        elif isinstance(fault, int):
            self.reply(fault, self.world.fault_body, headers=self.world.fault_headers)
        else:
            return False
        return True

    def answer(self, path: str, query: dict[str, list[str]], body: bytes) -> tuple[Any, ...]:
        world = self.world
        if world.token and self.headers.get("Authorization") != f"Bearer {world.token}":
            return 401, error("not_authenticated")
        if len(body) > world.max_body:
            return 413, error("too_large", limit=world.max_body)
        if path.endswith("/append"):
            run = world.runs.get(path.split("/")[1])
            return (410, error("run_gone")) if run is None else run.append(body)
        content = json.loads(body) if body else None
        if path == "data/":
            if content["series"] not in world.series:
                return 422, error("unknown_series")
            if "window" in content and "cursor" in content:
                return 422, error("illegal_value", field="cursor")
            return 200, world.data(content), frames.MEDIA_TYPE
        return tuple(world.route(self.command, path, query, content))

    def reply(
        self,
        status: int,
        body: Any,
        content_type: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        cut = None
        if content_type == frames.MEDIA_TYPE and self.world.data_cuts:
            cut = self.world.data_cuts.pop(0)
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            self.close_connection = True

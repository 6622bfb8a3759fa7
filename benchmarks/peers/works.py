"""The same works for every product. A point is one (step, loss) pair; losses fit 32-bit floats.

W1  one script, N calls log(step, loss), then close
W2  the same points by the interface for many at once
W3  8 processes, N/8 calls each
W4  read 100 runs of N/100 points
W5  from the call to a reader's sight, 50 events, 10 a second
W6  what the product's page fetches for the 100 runs of W4

`python -m benchmarks.peers.peer_NAME --work W1 --points 100000 --json FILE`, with the interpreter
of an environment that has the product. Times are of the caller; N is as far as it came.
"""

from __future__ import annotations

import argparse
import array
import json
import math
import multiprocessing
import os
import platform
import random
import signal
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.product import Log, NotOffered, Product, wait_for

RUNS, PROCESSES, EVENTS, EVENT_SECS = 100, 8, 50, 0.1
CALLS_BETWEEN_LOOKS = 50
SEEN_TIMEOUT_S = 40.0
now = time.perf_counter  # the same clock in all processes of a machine (Linux)
Result = dict[str, Any]


def make_data(points: int, seed: int = 0) -> tuple[list[int], list[float]]:
    chance = random.Random(seed)
    losses = (math.exp(-3 * at / max(points, 1)) + 0.1 * chance.random() for at in range(points))
    return list(range(points)), list(array.array("f", losses))


def log_all(
    log: Log, steps: Sequence[int], losses: Sequence[float], cap_s: float
) -> tuple[int, float]:
    """Points logged before the cap, and the seconds that took."""
    started = now()
    for begin in range(0, len(steps), CALLS_BETWEEN_LOOKS):
        stop = min(len(steps), begin + CALLS_BETWEEN_LOOKS)
        for at in range(begin, stop):
            log.log(steps[at], losses[at])
        if now() - started > cap_s:
            return stop, now() - started
    return len(steps), now() - started


class Work:
    """One product at one size."""

    def __init__(self, product: Product, points: int, cap_s: float) -> None:
        self.product, self.points, self.cap_s = product, points, cap_s
        self.prepared: list[str] = []

    def w1(self, tag: str) -> Result:
        before, run = self.product.disk(), f"w1-{tag}"
        if self.product.writes_apart:
            [told] = self._in_processes(_log_run, [(run, self.points, self.cap_s)])
        else:
            told = _log_run(self.product, run, self.points, self.cap_s)
        seen = self._wait_for([(run, told["points"])])
        total = now() - told["started"]
        time.sleep(0.3)
        return {
            "points": told["points"],
            "calls_per_s": told["points"] / told["blocked_s"],
            "points_per_s": told["points"] / total,
            "seen": seen,
            "bytes_per_point": (self.product.disk() - before) / told["points"],
        }

    def w2(self, tag: str) -> Result:
        steps, losses = make_data(self.points)
        started = now()
        self.product.batch(f"w2-{tag}", steps, losses)
        seen = self._wait_for([(f"w2-{tag}", self.points)])
        rate = self.points / (now() - started)
        return {"points": self.points, "points_per_s": rate, "seen": seen}

    def w3(self, tag: str) -> Result:
        each = self.points // PROCESSES
        asked = [(f"w3-{tag}-{number}", each, self.cap_s) for number in range(PROCESSES)]
        told = self._in_processes(_log_run, asked)
        done = [(one["run"], one["points"]) for one in told]
        seen = self._wait_for(done)
        points = sum(count for _, count in done)
        rate = points / (now() - min(one["started"] for one in told))
        return {"points": points, "points_per_s": rate, "seen": seen}

    def w4(self, tag: str) -> Result:
        import numpy as np

        runs, each = self._prepare(tag), self.points // RUNS
        started = now()
        found = self.product.read(runs)
        taken = now() - started
        points = sum(len(steps) for steps, _ in found)
        exact = len(found) == RUNS
        for seed, (steps, losses) in enumerate(found):
            expected_steps, expected = make_data(each, seed)
            exact = exact and np.array_equal(steps, expected_steps)
            exact = exact and np.array_equal(np.asarray(losses, "f4"), np.asarray(expected, "f4"))
        return {"points": points, "points_per_s": points / taken, "exact": bool(exact)}

    def w5(self, tag: str) -> Result:
        run = f"w5-{tag}"
        context = multiprocessing.get_context("spawn")
        ready, answers = context.Event(), context.Queue()
        arguments = (type(self.product), *self._place(), run, ready, answers)
        child = context.Process(target=_log_events, args=arguments)
        child.start()
        ready.wait(60)
        seen: list[float] = []
        deadline = now() + EVENTS * EVENT_SECS + 30
        while len(seen) < EVENTS and now() < deadline:
            there = self.product.visible(run)
            seen += [now()] * (min(there, EVENTS) - len(seen))
            time.sleep(0.005)
        sent = answers.get(timeout=60)
        child.join(20)
        waits = sorted(after - before for before, after in zip(sent, seen, strict=False))
        if not waits:
            raise RuntimeError("No event was seen.")
        late = waits[int(0.95 * (len(waits) - 1))]
        return {"events": len(waits), "median_s": statistics.median(waits), "p95_s": late}

    def w6(self, tag: str) -> Result:
        runs = self._prepare(tag)
        started = now()
        points, size = self.product.overview(runs)
        kept = points / (self.points // RUNS * RUNS)
        return {"seconds": now() - started, "points": points, "bytes": size, "kept": kept}

    def _prepare(self, tag: str) -> list[str]:
        if not self.prepared:
            runs = [f"w4-{tag}-{number:03}" for number in range(RUNS)]
            each = self.points // RUNS
            if self.product.writes_apart:
                self._in_processes(_prepare_runs, [(runs, each)])
            else:
                _prepare_runs(self.product, runs, each)
            self._wait_for([(runs[-1], each)])
            self.prepared = runs
        return self.prepared

    def _wait_for(self, done: Sequence[tuple[str, int]]) -> int | None:
        if not self.product.has_reader:
            return None
        see = self.product.visible
        seen = [wait_for(lambda r=run: see(r), count, SEEN_TIMEOUT_S) for run, count in done]  # type: ignore[misc]
        return sum(seen)

    def _place(self) -> tuple[str, Path, dict[str, Any]]:
        return self.product.variant, self.product.folder, self.product.info

    def _in_processes(self, work: Callable[..., Any], asked: Sequence[tuple[Any, ...]]) -> Any:
        context = multiprocessing.get_context("spawn")
        answers, together = context.Queue(), context.Barrier(len(asked))
        children = [
            context.Process(
                target=_child,
                args=(type(self.product), *self._place(), together, answers, work, arguments),
            )
            for arguments in asked
        ]
        for child in children:
            child.start()
        told = [answers.get(timeout=self.cap_s + 90) for _ in children]
        for child in children:
            child.join(20)
        for _, info, error in told:
            if error:
                raise RuntimeError(error)
            self.product.info.update(info)
        return [result for result, _, _ in told]


def _child(
    product: type[Product],
    variant: str,
    folder: Path,
    info: dict[str, Any],
    together: Any,
    answers: Any,
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    try:
        made = product(variant, folder, info)
        together.wait(60)
        answers.put((work(made, *arguments), made.info, None))
    except Exception:  # noqa: BLE001 - told to the parent
        answers.put((None, {}, traceback.format_exc()[-500:]))


def _log_run(product: Product, run: str, points: int, cap_s: float) -> Result:
    steps, losses = make_data(points)
    log = product.open(run)
    started = now()
    done, blocked = log_all(log, steps, losses, cap_s)
    log.close()
    return {"run": run, "points": done, "blocked_s": blocked, "started": started}


def _prepare_runs(product: Product, runs: Sequence[str], each: int) -> None:
    for seed, run in enumerate(runs):
        steps, losses = make_data(each, seed)
        try:
            product.batch(run, steps, losses)
        except NotOffered:
            log = product.open(run)
            log_all(log, steps, losses, math.inf)
            log.close()


def _log_events(
    product: type[Product],
    variant: str,
    folder: Path,
    info: dict[str, Any],
    run: str,
    ready: Any,
    answers: Any,
) -> None:
    log = product(variant, folder, info).open(run)
    ready.set()
    time.sleep(0.5)
    sent = []
    due = now()
    for event in range(EVENTS):
        time.sleep(max(0.0, due - now()))
        sent.append(now())
        log.log(event, float(event))
        due += EVENT_SECS
    answers.put(sent)
    time.sleep(5)  # whatever is seen only when a run is closed has not been seen
    log.close()


def _measure(work: Work, name: str, repetitions: int) -> Result:
    measured: list[Result] = []
    error = None
    try:
        for number in range(repetitions):
            measured.append(getattr(work, name.lower())(f"{os.getpid()}-{number}"))
    except NotOffered:
        error = "not offered"
    except Exception as fault:  # noqa: BLE001 - what a product cannot do is a result
        traceback.print_exc()
        error = repr(fault)[:300]
    medians = {}
    for key in measured[0] if measured else ():
        values = [one[key] for one in measured]
        numbers = all(isinstance(value, int | float) for value in values)
        medians[key] = statistics.median(values) if numbers else values[0]
    return {"work": name, "points": work.points, "median": medians, "error": error}


def main(product: type[Product]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", required=True, help="W1 … W6, several apart by commas")
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--variant", default=product.variants[0], choices=product.variants)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--cap-secs", type=float, default=60)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # also then, stop what was started
    results = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = product(asked.variant, Path(folder))
        try:
            made.start()
            about = {"product": product.name, "variant": asked.variant, "version": made.version()}
            about["python"] = platform.python_version()
            work = Work(made, asked.points, asked.cap_secs)
            for name in asked.work.split(","):
                load = os.getloadavg()[0]
                measured = _measure(work, name, asked.repetitions)
                results.append({**about, "load": load, **measured})
                asked.json.write_text(json.dumps(results, indent=1))
        finally:
            made.stop()

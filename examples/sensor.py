"""A sensor that is read at a steady rate, and watched for what is out of the ordinary.

The sensor is this machine: how late a sampling loop is woken, and how much of a processor the
program and all others use. Every reading is logged as it comes; running means and variances
(Welford's method, with a window that forgets) say which readings are out of the ordinary, and those
are logged as events with a text. Ctrl-C ends it; without `--seconds` it runs until then.

    python examples/sensor.py --hertz 50 --seconds 30
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from streamvis import DataLogger


@dataclass
class Watch:
    """Mean and variance of a value, older readings counting less and less.

    `memory`: readings after which the weight of one is down to 1/e. Welford (1962) with
    exponential weights, as in Finch (2009), "Incremental calculation of weighted mean and
    variance", section 9.
    """

    memory: float
    mean: float = 0.0
    variance: float = 0.0
    seen: int = 0

    def deviation(self, value: float) -> float:
        """How many standard deviations the value lies from the mean so far; then learn it."""
        self.seen += 1
        weight = max(1 / self.seen, 1 / self.memory)
        difference = value - self.mean
        spread = math.sqrt(self.variance)
        score = difference / spread if spread and self.seen > self.memory else 0.0
        self.mean += weight * difference
        self.variance = (1 - weight) * (self.variance + weight * difference**2)
        return score


@dataclass(frozen=True)
class Reading:
    seconds: float  # since the start
    late_ms: float  # how much later than asked the loop was woken
    busy: float  # processors that this program used since the last reading
    load: float  # of the machine: runnable processes, averaged over a minute


def readings(hertz: float) -> Iterator[Reading]:
    """At a steady rate; a reading that is late does not move those after it."""
    began = time.monotonic()
    then, used = began, time.process_time()
    number = 0
    while True:
        number += 1
        due = began + number / hertz
        time.sleep(max(0.0, due - time.monotonic()))
        now, use = time.monotonic(), time.process_time()
        busy = (use - used) / (now - then)
        yield Reading(now - began, (now - due) * 1000, busy, os.getloadavg()[0])
        then, used = now, use


def watch(options: argparse.Namespace, log: DataLogger) -> None:
    watches = {name: Watch(memory=10 * options.hertz) for name in ("late_ms", "busy")}
    for reading in readings(options.hertz):
        log.write("sensor", **vars(reading))
        for name, each in watches.items():
            value = getattr(reading, name)
            score = each.deviation(value)
            if abs(score) >= options.threshold:
                text = f"{name} is {value:.3g}, {score:+.1f} deviations from {each.mean:.3g}"
                log.write("events", seconds=reading.seconds, score=score, event=text)
                print(f"{reading.seconds:8.2f} s  {text}")
        if options.seconds and reading.seconds >= options.seconds:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hertz", type=float, default=50.0, help="readings a second")
    parser.add_argument("--seconds", type=float, default=0.0, help="0: until Ctrl-C")
    parser.add_argument("--threshold", type=float, default=6.0, help="deviations of an event")
    options = parser.parse_args()
    with DataLogger(flush_every=0.2) as log:
        columns = {"seconds": "float", "late_ms": "float", "busy": "float", "load": "float"}
        log.ensure_series("sensor", columns)
        log.ensure_series("events", {"seconds": "float", "score": "float", "event": "text"})
        log.ensure_field("hertz", "float", "readings a second", "1/s")
        log.set_run_attributes(hertz=options.hertz)
        log.add_run_tags("sensor")
        print(f"run {log.run_handle}")
        try:
            watch(options, log)
        except KeyboardInterrupt:
            print("ended; what was read stays")


if __name__ == "__main__":
    main()

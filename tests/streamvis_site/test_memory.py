"""Memory of threads: what glibc is asked for, in a process of its own, for it lasts."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNT_ARENAS = """
import ctypes, sys, threading
from streamvis_site.memory import keep_few_arenas
if sys.argv[1] == "few" and not keep_few_arenas():
    sys.exit("not glibc")
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
gate = threading.Barrier(9)
def use():
    libc.malloc(100)
    gate.wait()
    gate.wait()
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads:
    thread.start()
gate.wait()
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
gate.wait()
"""


def arenas(how: str) -> int:
    command = [sys.executable, "-c", COUNT_ARENAS, how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "not glibc" in done.stderr or "malloc_info" in done.stderr:
        pytest.skip("the C library is not glibc")
    assert done.returncode == 0, done.stderr
    return done.stdout.count("<heap nr=")


def test_the_threads_of_a_server_share_two_heaps() -> None:
    assert arenas("few") == 2
    assert arenas("as many as it likes") > 2

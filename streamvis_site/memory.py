"""How the C library keeps memory for threads."""

from __future__ import annotations

import ctypes

ARENAS = 2
_M_ARENA_MAX = -8  # malloc.h of glibc


def keep_few_arenas() -> bool:
    """Let all threads share two heaps; False where the C library is not glibc.

    By default glibc gives threads up to eight heaps a core, and each keeps what was once freed in
    it. A server has a new thread for each request: its memory creeps up for hours.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(set_option(_M_ARENA_MAX, ARENAS))

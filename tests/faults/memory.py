"""How much memory a process has, and had at most. Linux."""

from __future__ import annotations

from pathlib import Path

from tests.services.server import Server


def held_mib(server: Server) -> float:
    return _status(server, "VmRSS")


def forget_peak(server: Server) -> None:
    _folder(server).joinpath("clear_refs").write_text("5")


def peak_mib(server: Server) -> float:
    """Since :func:`forget_peak`."""
    return _status(server, "VmHWM")


def _status(server: Server, name: str) -> float:
    lines = _folder(server).joinpath("status").read_text().splitlines()
    [kib] = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(kib) / 1024


def _folder(server: Server) -> Path:
    assert server.process is not None
    return Path(f"/proc/{server.process.pid}")

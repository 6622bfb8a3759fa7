"""Sets a checkout up: `python3 -m tools.setup [--dev]`.

A step runs again only when its inputs changed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.system import Missing, apt_install, on_debian_as_root

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "stamps"
CLIENT = ROOT / "logger_client"
FRONTEND = ROOT / "frontend"
BUNDLE = ROOT / "plotting" / "static" / "plotting" / "bundle"
# What is installed for one of these is of no use to another: `cpython-311`.
INTERPRETER = str(sys.implementation.cache_tag)
# Nothing under these is an input of the bundle.
NOT_SOURCES = {"node_modules", "dist", "test", "coverage"}


@dataclass(frozen=True)
class Step:
    name: str
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    run: Callable[[], None]

    def digest(self) -> str:
        digest = hashlib.sha256(INTERPRETER.encode())
        for path in _files(self.inputs):
            content = path.read_bytes()
            digest.update(f"\n{path.relative_to(ROOT)} {len(content)}\n".encode() + content)
        return digest.hexdigest()

    def bring_up_to_date(self) -> None:
        stamp = STAMPS / self.name
        digest = self.digest()
        if _stamped(stamp, digest) and all(path.exists() for path in self.outputs):
            return
        print(f"setup: {self.name} ...", flush=True)
        started = time.monotonic()
        stamp.unlink(missing_ok=True)
        self.run()
        STAMPS.mkdir(exist_ok=True)
        stamp.write_text(digest)
        print(f"setup: {self.name} done in {time.monotonic() - started:.1f} s", flush=True)


def _stamped(stamp: Path, digest: str) -> bool:
    return stamp.exists() and stamp.read_text() == digest


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from _files(sorted(p for p in path.iterdir() if p.name not in NOT_SOURCES))
        elif path.is_file():
            yield path


def _call(*command: str | Path, cwd: Path = ROOT) -> None:
    search = os.pathsep.join([str(VENV / "bin"), os.environ.get("PATH", os.defpath)])
    # Node brings certificates of its own; a company's proxy is known to the system's alone.
    environment = {"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": search}
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, env=environment)


def _pip_install(*what: str | Path) -> None:
    _call(
        PYTHON,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        *what,
    )


def _npm(*arguments: str) -> None:
    _call(VENV / "bin" / "npm", *arguments, cwd=FRONTEND)


def make_venv() -> None:
    """Debian splits `ensurepip` off into a package of its own; without it `venv` fails half way."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        if not on_debian_as_root():
            raise Missing(
                f"This Python cannot make virtual environments. Install {package}."
            ) from None
        apt_install(package)
    if not _venv_is_usable():
        _call(sys.executable, "-m", "venv", "--clear", VENV)


def _venv_is_usable() -> bool:
    if not PYTHON.exists():
        return False
    ask = "import pip, sys; print(sys.implementation.cache_tag)"
    asked = subprocess.run([PYTHON, "-c", ask], capture_output=True, text=True)
    return asked.returncode == 0 and asked.stdout.strip() == INTERPRETER


def build_bundle() -> None:
    _npm("run", "build")


def steps(*, dev: bool) -> Iterator[Step]:
    requirements = ROOT / "requirements.txt"
    yield Step("venv", (), (PYTHON, VENV / "bin" / "pip"), make_venv)
    yield Step("requirements", (requirements,), (), lambda: _pip_install("-r", requirements))
    if CLIENT.is_dir():
        # Its sources are not inputs: an editable install finds them where they lie.
        yield Step(
            "client",
            (CLIENT / "pyproject.toml",),
            (VENV / "bin" / "streamvis",),
            lambda: _pip_install("-e", CLIENT),
        )
    if dev:
        dev_requirements = ROOT / "requirements-dev.txt"
        yield Step(
            "requirements-dev",
            (requirements, dev_requirements),
            (VENV / "bin" / "pytest",),
            lambda: _pip_install("-r", dev_requirements),
        )
    if FRONTEND.is_dir():
        lock = (FRONTEND / "package.json", FRONTEND / "package-lock.json")
        yield Step(
            "node-modules",
            lock,
            (FRONTEND / "node_modules",),
            lambda: _npm("ci", "--no-audit", "--no-fund"),
        )
        yield Step("bundle", (FRONTEND,), (BUNDLE / ".vite" / "manifest.json",), build_bundle)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="with what checks and tests need")
    arguments = parser.parse_args()
    try:
        for step in steps(dev=arguments.dev):
            step.bring_up_to_date()
    except Missing as missing:
        print(f"setup: {missing}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"setup: failed: {' '.join(error.cmd)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

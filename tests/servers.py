"""A PostgreSQL and a Redis of a test's own, for what must not happen to those that others use: restarts, power cuts."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.conftest import STRICT
from tests.databases import locked, migrate, shared
from tests.stack import answers_on, free_port


def program(name: str, *places: Path) -> str:
    """Where a program is; without it the test is skipped aloud, or fails where nothing may be skipped."""
    found = shutil.which(name, path=os.pathsep.join([*map(str, places), os.environ.get("PATH", "")]))
    if not found:
        (pytest.fail if STRICT else pytest.skip)(f"{name} is not installed")
    return found


class Postgres:
    """A server with our tables on a port of its own; a context manager. `env`: for its processes; `options`: name=value."""

    def __init__(self, *options: str, **env: str) -> None:
        self.control = program("pg_ctl", *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
        self.env, self.port = os.environ | env, free_port()
        settings = (f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", *options)
        self.options = " ".join(f"-c {setting}" for setting in settings)
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        self._own = tempfile.TemporaryDirectory(prefix="postgres-")
        self.folder = Path(self._own.name)
        self.data = self.folder / "data"

    def __enter__(self) -> "Postgres":
        if os.getuid() == 0:  # the server refuses to be run by root
            shutil.chown(self.folder, "postgres")
        with locked(shared() / "server.lock"):
            if not (ready := shared() / "server").exists():
                self._make(ready)
        subprocess.run(["cp", "-a", str(ready), str(self.data)], check=True)
        self.start()
        return self

    def _make(self, ready: Path) -> None:
        """The first of a run is migrated; all others are copies."""
        # Segments of one megabyte: whoever copies them has less to copy.
        self._control("initdb", "-o", "-A trust -U postgres --no-sync --wal-segsize=1")
        self.start()
        migrate(self.url)
        self.stop("fast")
        self.data.rename(ready)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._own.cleanup()

    def start(self) -> None:
        self._control("start", "-w", "-l", str(self.folder / "log"), "-o", self.options)

    def stop(self, mode: str = "immediate") -> None:
        """ "fast": connections are cut; "immediate": as after a crash."""
        self._control("stop", "-w", "-m", mode)

    def _control(self, *words: str) -> None:
        owner = {"user": "postgres", "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": []}
        done = subprocess.run(
            [self.control, "-D", str(self.data), *words], env=self.env, cwd=self.folder, timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            **(owner if os.getuid() == 0 else {}),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


class Redis:
    """An empty server that keeps nothing on disk; a context manager."""

    def __init__(self) -> None:
        self.program, self.port = program("redis-server"), free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> "Redis":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        words = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([self.program, *words], stdout=subprocess.DEVNULL)
        while not answers_on(self.port):
            assert self.process.poll() is None, "redis-server ended at its start"
            time.sleep(0.02)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)

"""Databases of the tests' own, each a copy of one that was migrated once for the whole run.

Migrating and loading the value sets takes ten seconds of a processor, copying a tenth of one; every process of pytest
needs a database, and so does every test that starts the product as processes.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parents[1]
SHARED = "ENGAGE_TESTS_SHARED"  # the run's folder; its name is the migrated database's
IN_MEMORY = "file:memorydb_default?mode=memory&cache=shared"  # what Django calls its test database on SQLite
kept: list[sqlite3.Connection] = []


def shared() -> Path:
    """The folder of this run: of the process that asks first, which `conftest` sees to be the first of all."""
    if SHARED not in os.environ:
        os.environ[SHARED] = tempfile.mkdtemp(prefix="engage_tests_")
        atexit.register(forget, Path(os.environ[SHARED]))
    return Path(os.environ[SHARED])


def forget(folder: Path) -> None:
    if on_postgres() and (folder / "ready").exists():
        on_server(f'DROP DATABASE IF EXISTS "{folder.name}" WITH (FORCE)')
    shutil.rmtree(folder)


def on_postgres() -> bool:
    return os.environ.get("DATABASE_URL", "").startswith("postgres")


def on_server(statement: str) -> None:
    import psycopg

    parts = urlsplit(os.environ["DATABASE_URL"])
    server = urlunsplit(parts._replace(scheme="postgresql", path="/postgres"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement)


def url_of(folder: Path, name: str) -> str:
    if not on_postgres():
        return f"sqlite:///{folder / name}.sqlite3"
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


def migrated() -> str:
    """The name of the migrated database; whoever asks first makes it, the others wait."""
    folder = shared()
    with locked(folder / "lock"):
        if not (folder / "ready").exists():
            if on_postgres():
                on_server(f'CREATE DATABASE "{folder.name}"')
            migrate(url_of(folder, folder.name))
            (folder / "ready").touch()
    return folder.name


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def migrate(url: str) -> None:
    env = os.environ | {"DATABASE_URL": url}
    for words in (["migrate", "-v0"], ["load_valuesets"]):
        subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL
        )


def own_database(folder: Path) -> tuple[str, Callable[[], None]]:
    """A migrated database for one test, on the kind DATABASE_URL names: (url, how to drop it)."""
    source = migrated()
    if not on_postgres():
        shutil.copy(shared() / f"{source}.sqlite3", folder / "engage.sqlite3")
        return url_of(folder, "engage"), lambda: None
    name = f"engage_stack_{os.getpid()}_{os.urandom(4).hex()}"
    on_server(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
    return url_of(folder, name), lambda: on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def give_to_django(database: dict[str, Any]) -> None:
    """Django's own test database begins as a copy too; its `migrate` then finds nothing to do."""
    if on_postgres():
        database.setdefault("TEST", {})["TEMPLATE"] = migrated()
        return
    memory = sqlite3.connect(IN_MEMORY, uri=True)
    source = sqlite3.connect(shared() / f"{migrated()}.sqlite3")
    source.backup(memory)
    source.close()
    kept.append(memory)  # it lives as long as somebody is connected

"""F20: the power goes in the middle. What was written and not made durable is gone, whatever the disk's cache held; the
judge is the carrier's own log.

A library between the sender and the disk (durable.c) keeps each file as it was at its last sync. PostgreSQL writes no page
before its log is durable, so there it is the log that is set back.
"""

import contextlib
import random
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ON_POSTGRES
from tests.messaging.processes import Senders
from tests.servers import Postgres, program
from tests.simulator.harness import Carrier

pytestmark = pytest.mark.slow
CUTS, MESSAGES = 4, 400


class Disk:
    """Preload `env` into whoever writes below `folder`; `cut` sets files back to what was durable."""

    def __init__(self, scratch: Path, folder: Path) -> None:
        self.folder, self.copies, library = folder, scratch / "durable", scratch / "durable.so"
        self.copies.mkdir()
        self.copies.chmod(0o777)  # a server of its own user writes there
        source = Path(__file__).with_name("durable.c")
        subprocess.run([program("cc"), "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        self.env = {"LD_PRELOAD": str(library), "DURABLE_FROM": str(folder), "DURABLE_TO": str(self.copies)}

    def cut(self, *names: str) -> None:
        """What was never made durable is as empty as a fresh file."""
        for path in (p for name in names for p in self.folder.glob(name)):
            copy = self.copies / str(path).replace("/", "%")
            path.write_bytes(copy.read_bytes() if copy.exists() else bytes(path.stat().st_size))


@contextlib.contextmanager
def sqlite(folder: Path, carrier: Carrier):
    """The senders, and how to cut their power."""
    disk = Disk(folder, folder)
    with Senders(folder, carrier, **disk.env) as senders:
        senders.manage("shell", "-v0", "-c", WHOLE)

        def cut():
            disk.cut("engage.sqlite3", "engage.sqlite3-wal")
            (folder / "engage.sqlite3-shm").unlink(missing_ok=True)

        yield senders, cut


@contextlib.contextmanager
def postgresql(folder: Path, carrier: Carrier):
    """The same; the server itself does not wait for its disk unless it is told to."""
    server = Postgres("synchronous_commit=off")
    disk = Disk(server.folder, server.data / "pg_wal")
    server.env |= disk.env
    with server, Senders(folder, carrier, DATABASE_URL=server.url) as senders:

        def cut():
            server.stop("immediate")
            disk.cut("0*")
            server.start()

        yield senders, cut


# The tables were copied into place before anybody watched.
WHOLE = "from django.db import connection; connection.cursor().execute('VACUUM')"


def test_the_power_goes_in_the_middle(tmp_path):
    chance = random.Random(7)
    machine = postgresql if ON_POSTGRES else sqlite
    with Carrier(tmp_path / "carrier", latency_ms=5) as carrier, machine(tmp_path, carrier) as (senders, cut):
        carrier.settings(callbacks={"off": True})
        for _ in range(CUTS):
            senders.queue(MESSAGES // CUTS)
            before, process = senders.taken(), senders.start()
            assert senders.wait_for(before + chance.randint(1, 60)), (tmp_path / "deliver.log").read_text()[
                -2000:
            ]
            senders.kill(process)
            cut()
        senders.settle()
        assert set(states := senders.judge(MESSAGES)) <= {"accepted", "sent", "delivered"}, states

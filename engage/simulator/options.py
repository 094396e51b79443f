"""What the process is told at its start, by words or by the environment; it works with nothing set."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
ACCOUNT = "AC" + "0" * 32
TOKEN = "simulator"  # noqa: S105 - opens nothing but this simulator
NUMBER = "+15550100000"


@dataclass(frozen=True, slots=True)
class Options:
    """Times are seconds. The first token signs; every token of the list may sign in, as during a rotation."""

    port: int = 8001
    account: str = ACCOUNT
    tokens: tuple[str, ...] = (TOKEN,)
    numbers: tuple[str, ...] = (NUMBER,)
    services: tuple[str, ...] = ()
    log: Path = Path("var/simulator.jsonl")
    state: Path | None = None
    inbound_url: str = ""
    inbound_fallback_url: str = ""
    public_hosts: tuple[tuple[str, str], ...] = ()
    seed: int | None = None
    bare: bool = False
    latency: float = 0.0
    sent_after: float = 0.1
    delivered_after: float = 0.3
    keep: int = 100_000
    sync: bool = True
    advanced_opt_out: bool = False


def environment(name: str, *others: str, default: str = "") -> str:
    """The first of SIMULATOR_<name> and the other variables that is set."""
    for key in (f"SIMULATOR_{name}", *others):
        if os.environ.get(key):
            return os.environ[key]
    return default


def words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def doors(text: str) -> tuple[tuple[str, str], ...]:
    """`https://clinic.example=http://127.0.0.1:8000,…` as pairs: called under the first, reached at the second."""
    pairs = [part.partition("=") for part in words(text)]
    bad = [
        public for public, _, local in pairs if not (public.startswith("http") and local.startswith("http"))
    ]
    if bad:
        raise argparse.ArgumentTypeError(f"{bad[0]!r} is not PUBLIC_URL=LOCAL_URL")
    return tuple((public.rstrip("/"), local.rstrip("/")) for public, _, local in pairs)


def inbound_default() -> str:
    base = os.environ.get("PUBLIC_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
    return environment("INBOUND_URL", default=f"{base}/webhooks/twilio/message")


def parser() -> argparse.ArgumentParser:
    """Every option, its default taken from the environment."""
    var = os.environ.get("ENGAGE_VAR", "var")
    made = argparse.ArgumentParser(
        "engage.simulator", description="A carrier from which no message ever leaves."
    )
    add = made.add_argument
    add("--port", type=int, default=int(environment("PORT", default="8001")), help="0 takes a free one")
    add("--account", default=environment("ACCOUNT", "TWILIO_ACCOUNT_SID", default=ACCOUNT))
    add(
        "--token",
        default=environment("TOKEN", "TWILIO_AUTH_TOKEN", default=TOKEN),
        help="the first one signs",
    )
    add("--numbers", default=environment("NUMBERS", "TWILIO_FROM", default=NUMBER), help="senders, E.164")
    add(
        "--services",
        default=environment("SERVICES", "TWILIO_MESSAGING_SERVICE_SID"),
        help="empty: any MG… sid",
    )
    add("--log", type=Path, default=Path(environment("LOG", default=f"{var}/simulator.jsonl")))
    add("--state", type=Path, default=environment("STATE") or None, help="file that survives a restart")
    add("--inbound-url", default=inbound_default(), help="where patients' texts go")
    add("--inbound-fallback-url", default=environment("INBOUND_FALLBACK_URL"))
    add(
        "--public-callback-host",
        type=doors,
        default=environment("PUBLIC_CALLBACK_HOST"),
        help="PUBLIC=LOCAL,…",
    )
    add("--seed", type=int, default=environment("SEED") or None, help="the same sids and chances each time")
    add(
        "--bare", action="store_true", default=environment("BARE") == "1", help="accept and log, nothing else"
    )
    add("--latency-ms", type=float, default=environment("LATENCY_MS", default="0"))
    add("--sent-after", type=float, default=environment("SENT_AFTER", default="0.1"), help="seconds")
    add(
        "--delivered-after", type=float, default=environment("DELIVERED_AFTER", default="0.3"), help="seconds"
    )
    add("--keep", type=int, default=environment("KEEP", default="100000"), help="messages held in memory")
    add(
        "--no-sync",
        action="store_true",
        default=environment("NO_SYNC") == "1",
        help="survive a kill, not a power cut",
    )
    add("--advanced-opt-out", action="store_true", default=environment("ADVANCED_OPT_OUT") == "1")
    return made


def parse(argv: Sequence[str]) -> Options:
    """The options of a command line; ends the process with a sentence when one is odd."""
    given = parser().parse_args(argv)
    return Options(
        port=given.port,
        account=given.account,
        tokens=words(given.token) or (TOKEN,),
        numbers=words(given.numbers) or (NUMBER,),
        services=words(given.services),
        log=given.log,
        state=given.state,
        inbound_url=given.inbound_url,
        inbound_fallback_url=given.inbound_fallback_url,
        public_hosts=given.public_callback_host or (),
        seed=given.seed,
        bare=given.bare,
        latency=given.latency_ms / 1000,
        sent_after=given.sent_after,
        delivered_after=max(given.delivered_after, given.sent_after),
        keep=given.keep,
        sync=not given.no_sync,
        advanced_opt_out=given.advanced_opt_out,
    )

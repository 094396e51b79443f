"""`make run`: prepares the database, then runs web, jobs, sender and the carrier simulator until Ctrl-C.

Each process has a group of its own: a stop ends the whole group, and one that dies is started again.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VAR = Path(os.environ.get("ENGAGE_VAR", str(ROOT / "var")))
PORT = int(os.environ.get("PORT", "8000"))
PYTHON = sys.executable
MANAGE = [PYTHON, str(ROOT / "manage.py")]
LABELS = ["coordinator", "nurse", "oncall", "campaigns", "supervisor", "auditor", "otherclinic"]


def environment() -> dict[str, str]:
    """The process's own environment with the embedded defaults filled in."""
    env = dict(os.environ)
    env.setdefault("SIMULATOR_PORT", str(PORT + 1))
    env.setdefault("PUBLIC_BASE_URL", f"http://127.0.0.1:{PORT}")
    env.setdefault("DEMO_PASSWORD", kept_password())
    env.setdefault("PYTHONUNBUFFERED", "1")
    return env


def kept_password() -> str:
    """A random password for the demo users, made on the first run and kept beside the database."""
    path = VAR / "demo_password"
    if not path.exists():
        VAR.mkdir(parents=True, exist_ok=True)
        path.write_text("-".join(secrets.token_hex(2) for _ in range(3)) + "\n")
        path.chmod(0o600)
    return path.read_text().strip()


def manage(env: dict[str, str], *words: str) -> None:
    done = subprocess.run([*MANAGE, *words], env=env, cwd=ROOT)
    if done.returncode:
        sys.exit(f"`manage.py {' '.join(words)}` failed; what it says is above.")


def prepare(env: dict[str, str]) -> None:
    """Everything that is safe to repeat: tables, pages' static files, value sets, demo data, schedules."""
    manage(env, "migrate", "--verbosity", "0")
    manage(env, "collectstatic", "--noinput", "--verbosity", "0")
    manage(env, "load_valuesets")
    manage(env, "seed_demo", "--if-empty")
    manage(env, "setup_schedules")


def commands(env: dict[str, str]) -> dict[str, list[str]]:
    """The long-lived processes by name."""
    web = [
        PYTHON,
        "-m",
        "gunicorn",
        "engage.wsgi",
        "--bind",
        f"127.0.0.1:{PORT}",
        "--worker-class",
        "gthread",
    ]
    web += ["--workers", "2", "--threads", "8", "--log-level", "warning", "--no-control-socket"]
    found = {"web": web, "jobs": [*MANAGE, "qcluster"], "sender": [*MANAGE, "deliver"]}
    if env.get("CARRIER", "simulator") == "simulator":
        found["simulator"] = simulator(env)
    return found


def simulator(env: dict[str, str]) -> list[str]:
    inbound = f"{env['PUBLIC_BASE_URL']}/webhooks/twilio/message"
    words = [PYTHON, "-m", "engage.simulator", "--port", env["SIMULATOR_PORT"], "--inbound-url", inbound]
    return [*words, "--log", str(VAR / "simulator.jsonl"), "--state", str(VAR / "simulator-state.jsonl")]


def free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def start(words: list[str], env: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(words, env=env, cwd=ROOT, start_new_session=True)


def clear(process: subprocess.Popen) -> None:
    """Ends what a dead head leaves in its group: a killed cluster's workers would go on beside the new ones."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def stop_all(running: dict[str, subprocess.Popen]) -> None:
    """Asks every group to end, then insists; a sender drains for up to 30 seconds."""
    for name, process in running.items():
        # The cluster's workers end when its head says so; gunicorn's likewise. Others get it directly.
        if process.poll() is None:
            os.kill(process.pid, signal.SIGTERM) if name in ("web", "jobs") else os.killpg(
                process.pid, signal.SIGTERM
            )
    deadline = time.monotonic() + 30
    for process in running.values():
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
        clear(process)


def welcome(env: dict[str, str]) -> None:
    lines = [
        "",
        f"  Engage is running at {env['PUBLIC_BASE_URL']}/",
        f"  Sign in as one of: {', '.join(LABELS)}",
        f"  Password: {env['DEMO_PASSWORD']}",
    ]
    if env.get("CARRIER", "simulator") == "simulator":
        lines.append(
            f"  Be the patient: http://127.0.0.1:{env['SIMULATOR_PORT']}/ (nothing leaves this machine)"
        )
    print("\n".join([*lines, "  Ctrl-C stops all of it.", ""]), flush=True)


def answers(port: int, seconds: float = 30) -> bool:
    """Whether something listens on the port before the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.1)
    return False


def supervise(env: dict[str, str]) -> None:
    """Starts everything, then starts again whatever dies, at most every five seconds each."""
    words = commands(env)
    running = {name: start(w, env) for name, w in words.items()}
    began = dict.fromkeys(words, time.monotonic())
    try:
        if answers(PORT):
            welcome(env)
        while True:
            time.sleep(0.5)
            for name, process in list(running.items()):
                if process.poll() is not None and time.monotonic() - began[name] > 5:
                    print(f"[{name}] ended with {process.returncode}; starting it again", flush=True)
                    clear(process)
                    running[name], began[name] = start(words[name], env), time.monotonic()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("Stopping…", flush=True)
        stop_all(running)


def main() -> None:
    if not free(PORT):
        sys.exit(f"Port {PORT} is in use. Stop what uses it, or choose another: PORT=8010 make run")
    env = environment()
    os.environ.update(env)
    prepare(env)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started us deaf to it
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        supervise(env)
    except KeyboardInterrupt:
        print("Stopped.")


if __name__ == "__main__":
    main()

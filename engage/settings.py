"""Every setting, read from the environment. Runs with nothing set; an odd value stops the start with a sentence."""

import re
import secrets
import sys
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import environ
from django.core.exceptions import ImproperlyConfigured

from engage.messaging import kinds

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
TESTING = "pytest" in sys.modules or sys.argv[1:2] == ["test"]


def refuse(name: str, value: object, wanted: str) -> ImproperlyConfigured:
    """The one sentence shown for a setting that makes no sense."""
    return ImproperlyConfigured(f"{name}={value!r} makes no sense: {wanted}.")


def one_of(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = str(env(name, default=default)).strip().lower()
    if value not in choices:
        raise refuse(name, value, "use one of " + ", ".join(choices))
    return value


def boolean(name: str, default: bool) -> bool:
    value = one_of(name, str(default).lower(), ("1", "0", "true", "false", "yes", "no", "on", "off"))
    return value in ("1", "true", "yes", "on")


def seconds(name: str, default: float, low: float = 0.0) -> float:
    try:
        value = float(env(name, default=str(default)))  # text: an int default would refuse 0.25
    except ValueError:
        raise refuse(name, env(name), "give a number of seconds") from None
    if not low <= value <= 7 * 86400:
        raise refuse(name, value, f"give a number of seconds from {low:g} to a week")
    return value


def number(name: str, default: float, low: float, high: float) -> float:
    try:
        value = float(env(name, default=str(default)))
    except ValueError:
        raise refuse(name, env(name), f"give a number from {low:g} to {high:g}") from None
    if not low <= value <= high:
        raise refuse(name, env(name), f"give a number from {low:g} to {high:g}")
    return value


def limit(name: str, default: float | None, low: float, high: float) -> float | None:
    """A number, or None for "unlimited"."""
    if str(env(name, default="")).strip().lower() == "unlimited":
        return None
    if default is None and not env(name, default=""):
        return None
    return number(name, default or 0, low, high)


def moment(name: str) -> datetime | None:
    """An ISO moment with its offset, or None when unset."""
    text = str(env(name, default="")).strip()
    if not text:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise refuse(
            name, text, "give an ISO date and time with an offset, as 2020-06-01T10:00:00-04:00"
        ) from None
    if value.tzinfo is None:
        raise refuse(name, text, "the offset is missing, as in 2020-06-01T10:00:00-04:00")
    return value


def time_zone(name: str, default: str) -> str:
    value = str(env(name, default=default)).strip()
    if value not in available_timezones():
        raise refuse(name, value, "give an IANA time zone, as America/Chicago")
    return value


def kept_secret(path: Path) -> str:
    """The development key: made once and kept in an ignored file."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_urlsafe(48))
        path.chmod(0o600)
    return path.read_text().strip()


# --- Where run-time files live -------------------------------------------------------------------------------
VAR_DIR = Path(env("ENGAGE_VAR", default=str(BASE_DIR / "var")))
VAR_DIR.mkdir(parents=True, exist_ok=True)

# --- Security ------------------------------------------------------------------------------------------------
DEBUG = boolean("DEBUG", False)
PUBLIC_BASE_URL = str(env("PUBLIC_BASE_URL", default="http://127.0.0.1:8000")).rstrip("/")
if urlsplit(PUBLIC_BASE_URL).scheme not in ("http", "https") or not urlsplit(PUBLIC_BASE_URL).hostname:
    raise refuse(
        "PUBLIC_BASE_URL",
        PUBLIC_BASE_URL,
        "give the address the provider calls, as https://engage.example.org",
    )
SECURE = PUBLIC_BASE_URL.startswith("https://")
SECRET_KEY = str(env("SECRET_KEY", default="")) or kept_secret(VAR_DIR / "secret_key")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY is too short: give at least 32 random characters.")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
if urlsplit(PUBLIC_BASE_URL).hostname not in ALLOWED_HOSTS:
    ALLOWED_HOSTS.append(str(urlsplit(PUBLIC_BASE_URL).hostname))
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_SAVE_EVERY_REQUEST = False
SESSION_IDLE_SECONDS = seconds("SESSION_IDLE_SECONDS", 15 * 60, 30)
SESSION_COOKIE_AGE = 12 * 3600  # the absolute end of a session; idle sign-out is accounts.middleware
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_SSL_REDIRECT = False  # the proxy does it; /healthz must answer plain http
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if SECURE:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024

# --- Applications --------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_q",
    "axes",
    "csp",
    "engage.audit",
    "engage.accounts",
    "engage.patients",
    "engage.records",
    "engage.worklist",
    "engage.messaging",
    "engage.caregaps",
    "engage.campaigns",
    "engage.inbox",
    "engage.console",
    "engage.webhooks",
    "engage.demo",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "engage.accounts.middleware.IdleSignOutMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "engage.urls"
WSGI_APPLICATION = "engage.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "engage.console.context.console",
            ]
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Sign-in -------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
# The measures of the nightly run, comma-separated; empty: those of caregaps.measures.NIGHTLY.
NIGHTLY_MEASURES: tuple[str, ...] = tuple(env.list("NIGHTLY_MEASURES", default=[]))
DEMO_PASSWORD = str(env("DEMO_PASSWORD", default=""))
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_ENABLE_ACCESS_FAILURE_LOG = False
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# --- Data ----------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'engage.sqlite3'}")}
_database = DATABASES["default"]
_database["CONN_MAX_AGE"] = 60  # to open and close one costs more than what a request asks of it
if "sqlite" in _database["ENGINE"]:
    # FULL: a claim must survive a power cut, or a patient is texted twice (docs/decisions/0004).
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
        " PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=1073741824;",
    }
elif "postgresql" in _database["ENGINE"]:
    _database["CONN_HEALTH_CHECKS"] = True
    _options = _database.setdefault("OPTIONS", {})
    # For the same reason, whatever the server's own default and whatever else DATABASE_URL asks for.
    _asked = str(_options.get("options", ""))
    for _commit in re.findall(r"synchronous_commit\s*=\s*(\w+)", _asked):
        if _commit not in (
            "on",
            "local",
            "remote_write",
            "remote_apply",
        ):  # those wait for this server's disk
            raise refuse(
                "DATABASE_URL",
                f"synchronous_commit={_commit}",
                "leave it out: a claim must survive a power cut",
            )
    _options["options"] = f"-c synchronous_commit=on {_asked}".strip()
    # Django switches prepared statements off altogether; so high, only those are prepared that ask for it.
    _options["prepare_threshold"] = 1_000_000_000
else:
    raise refuse("DATABASE_URL", _database["ENGINE"], "use sqlite:///… or postgres://…")
REDIS_URL = str(env("REDIS_URL", default=""))
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# --- The queue: a wake-up, never the truth (docs/decisions/0003) -----------------------------------------------
Q_CLUSTER = {
    "name": "engage",
    "workers": env.int("Q_WORKERS", default=2),
    "timeout": 1800,
    "retry": 6000,
    "max_attempts": 3,
    "queue_limit": 2,
    "bulk": 1,
    "save_limit": -1,
    "catch_up": False,
    "poll": 1,
    "label": "Jobs",
}
if REDIS_URL:
    Q_CLUSTER["redis"] = REDIS_URL
else:
    Q_CLUSTER["orm"] = "default"

# --- Time and language ---------------------------------------------------------------------------------------
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = True
NOW = moment("NOW")
# Whose calendar "today" is: ages, as-of days, closures. In an American evening it is tomorrow already in UTC.
BUSINESS_TIME_ZONE = time_zone("BUSINESS_TIME_ZONE", "America/New_York")

# --- Static files --------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
_static = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
    if TESTING or DEBUG
    else ("whitenoise.storage.CompressedManifestStaticFilesStorage")
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _static},
}
WHITENOISE_USE_FINDERS = TESTING or DEBUG

# --- Delivery ------------------------------------------------------------------------------------------------
CARRIER = one_of("CARRIER", "simulator", ("simulator", "twilio"))
SIMULATOR_PORT = env.int("SIMULATOR_PORT", default=8001)
SIMULATOR_URL = f"http://127.0.0.1:{SIMULATOR_PORT}"
_simulated = CARRIER == "simulator"
TWILIO_ACCOUNT_SID = str(env("TWILIO_ACCOUNT_SID", default="AC" + "0" * 32 if _simulated else ""))
TWILIO_AUTH_TOKENS = [
    t.strip()
    for t in str(env("TWILIO_AUTH_TOKEN", default="simulator" if _simulated else "")).split(",")
    if t.strip()
]
TWILIO_MESSAGING_SERVICE_SID = str(env("TWILIO_MESSAGING_SERVICE_SID", default=""))
TWILIO_FROM = str(env("TWILIO_FROM", default="+15550100000" if _simulated else ""))
TWILIO_API_BASE_URL = str(
    env("TWILIO_API_BASE_URL", default=SIMULATOR_URL if _simulated else "https://api.twilio.com")
).rstrip("/")
if not _simulated and not (TWILIO_ACCOUNT_SID.startswith("AC") and TWILIO_AUTH_TOKENS):
    raise ImproperlyConfigured("CARRIER=twilio needs TWILIO_ACCOUNT_SID (AC…) and TWILIO_AUTH_TOKEN.")
if not _simulated and not (TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM):
    raise ImproperlyConfigured("CARRIER=twilio needs TWILIO_MESSAGING_SERVICE_SID or TWILIO_FROM.")
SENDING_ENABLED = boolean("SENDING_ENABLED", True)
SEND_ALLOWLIST: list[str] = [p.strip() for p in env.list("SEND_ALLOWLIST", default=[]) if p.strip()]
OPT_OUT_CONFIRMATION = one_of("OPT_OUT_CONFIRMATION", "provider", ("provider", "ours"))
# Capacity: what the carriers allow a sender. Limits are a real carrier's; any other server has none unless they are set.
_real_carrier = (urlsplit(TWILIO_API_BASE_URL).hostname or "").endswith("twilio.com")
SENDER_KIND = one_of(
    "SENDER_KIND",
    kinds.likely(TWILIO_MESSAGING_SERVICE_SID, TWILIO_FROM) if _real_carrier else "unlimited",
    tuple(kinds.KINDS),
)
SENDER_RATE = limit("SENDER_RATE", kinds.KINDS[SENDER_KIND].rate, 0.01, 10_000)  # segments a second
_daily = limit("SENDER_DAILY", kinds.KINDS[SENDER_KIND].daily, 1, 100_000_000)  # segments a day, Pacific time
SENDER_DAILY = None if _daily is None else int(_daily)
SENDER_RESERVE = (
    limit("SENDER_RESERVE", 10, 0, 90) or 0
)  # percent of a day that bulk leaves to people and answers
SEGMENT_PRICE = number("SEGMENT_PRICE", 0.01, 0, 100)  # dollars a segment, carriers' fees included
# Intervals of delivery, in machine seconds. Fault tests run the same code at 1/60.
HTTP_TIMEOUT = seconds("HTTP_TIMEOUT", 15, 0.05)
LEASE = seconds("LEASE", 60, 0.2)
SETTLE = seconds("SETTLE", 60)
LISTING_GAP = seconds("LISTING_GAP", 300)
SWEEP_EVERY = seconds("SWEEP_EVERY", 60, 0.05)
BREAKER_OPEN = seconds("BREAKER_OPEN", 60, 0.05)
OPT_OUT_CACHE = seconds("OPT_OUT_CACHE", 1)
HEARTBEAT_LATE = seconds("HEARTBEAT_LATE", 120, 0.5)
if LEASE < 4 * HTTP_TIMEOUT:
    raise refuse(
        "LEASE",
        LEASE,
        f"it must be at least 4 × HTTP_TIMEOUT ({4 * HTTP_TIMEOUT:g} s), or two senders text the same patient",
    )

# --- The optional second reader of replies: any server that speaks the OpenAI protocol; off without an address ---
LLM_BASE_URL = str(env("LLM_BASE_URL", default="")).strip().rstrip("/")
LLM_MODEL = str(env("LLM_MODEL", default="")).strip()
LLM_API_KEY = str(env("LLM_API_KEY", default="")).strip()
LLM_TIMEOUT = seconds("LLM_TIMEOUT", 20, 0.05)
if LLM_BASE_URL and (
    urlsplit(LLM_BASE_URL).scheme not in ("http", "https") or not urlsplit(LLM_BASE_URL).hostname
):
    raise refuse(
        "LLM_BASE_URL", LLM_BASE_URL, "give the address of the server, as https://llm.example.org/v1"
    )
if LLM_BASE_URL and not LLM_MODEL:
    raise ImproperlyConfigured(
        "LLM_BASE_URL is set but LLM_MODEL is not: name the model the server should use."
    )
if LLM_API_KEY and not LLM_API_KEY.isprintable():
    raise ImproperlyConfigured("LLM_API_KEY holds a character that no key has: copy it again.")

# --- Logs: ids only, never names, numbers or message text ---------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": str(env("LOG_LEVEL", default="INFO")).upper()},
    "loggers": {
        "axes": {"level": "WARNING"},
        "django-q": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
    },
}
SILENCED_SYSTEM_CHECKS: list[str] = ["axes.W003"]

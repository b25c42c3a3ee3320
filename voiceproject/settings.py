"""Every setting, from the environment, with its default.

A variable `X` may also be given as `X_FILE`, a path whose content is the value, where
the helper is `envsecret`. The README's table is held against this file by a test.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import dj_database_url

from voiceproject import logs
from voiceproject.accounts import *  # noqa: F403 (settings, all of them)
from voiceproject.console import UNFOLD as ADMIN_LOOKS
from voiceproject.environment import (
    BASE_DIR,
    envbool,
    envchoice,
    envdays,
    envfloat,
    envint,
    envlist,
    envnumbers,
    envpath,
    envsecret,
    envstr,
    envtexts,
    kept_secret_key,
)
from voiceproject.wiring import *  # noqa: F403

# Libraries that report home by themselves: onnxruntime since 1.29 (to Microsoft, from
# C++, with a device id kept on disk), huggingface_hub. Not from here, whoever asks.
os.environ |= {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

# --- where things are -------------------------------------------------------------

DATA_DIR = envpath("DATA_DIR", BASE_DIR / "data")
DATA_DIR.mkdir(parents=True, exist_ok=True)
WEB_HOST = envstr("WEB_HOST", "127.0.0.1")
WEB_PORT = envint("WEB_PORT", 8000, least=1)
PUBLIC_URL = envstr("PUBLIC_URL", "").rstrip("/")

# --- Django -----------------------------------------------------------------------

DEBUG = envbool("DEBUG", default=False)
SECRET_KEY = envsecret("SECRET_KEY", "") or kept_secret_key(DATA_DIR / "secret_key")
# This machine asks itself how it is; people use the public address.
ALLOWED_HOSTS = [*envlist("ALLOWED_HOSTS", ""), "localhost", "127.0.0.1", "[::1]"]
if PUBLIC_URL:
    ALLOWED_HOSTS.append(urlsplit(PUBLIC_URL).hostname or "")
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if PUBLIC_URL else []
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
ROOT_URLCONF = "voiceproject.urls"
ASGI_APPLICATION = "voiceproject.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
SECURE_REFERRER_POLICY = "same-origin"
# For so many seconds browsers come back by https alone, whatever a link says.
SECURE_HSTS_SECONDS = envint("HSTS_S", 0)
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains, and
    "security.W021",  # in browsers' own lists: for the whole domain's owner to say
    "security.W008",  # to https leads the proxy that has the certificate
]
# So many proxies stand before us, each adding an address to X-Forwarded-For; how
# people came to the first of them, X-Forwarded-Proto says.
TRUSTED_PROXIES = envint("TRUSTED_PROXIES", 0)
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024

INSTALLED_APPS = [
    "unfold",  # before Django's admin, whose site and templates it replaces
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.discord",
    "axes",
    "channels",
    "django_htmx",
    "django_q",
    "ninja",
    "sessions.apps.SessionsConfig",
    "transcripts.apps.TranscriptsConfig",
    "bot.apps.BotConfig",
    "voiceproject",
]

MIDDLEWARE = [
    "voiceproject.jsonerrors.JsonErrors",
    "django.middleware.security.SecurityMiddleware",
    "sessions.csp.content_security_policy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",  # last: it has the final word on a sign-in
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

UNFOLD = ADMIN_LOOKS  # django-unfold's settings have a module of their own

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
# What pages load from npm: `make run` installs it.
NODE_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    (name, package)
    for name, package in (
        ("htmx", NODE_MODULES / "htmx.org" / "dist"),
        ("wavesurfer", NODE_MODULES / "wavesurfer.js" / "dist"),
    )
    if package.is_dir()
]
WHITENOISE_USE_FINDERS = True  # no collectstatic step on a single machine
WHITENOISE_AUTOREFRESH = DEBUG

# --- database: SQLite, tuned for several processes, or PostgreSQL by DATABASE_URL ---

DATABASE_URL = envsecret("DATABASE_URL", f"sqlite:///{DATA_DIR / 'parley.sqlite3'}")
DATABASES: dict[str, Any] = {"default": dj_database_url.parse(DATABASE_URL)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Measured with four writers: without IMMEDIATE 39-51 % of the writes fail with
    # "database is locked"; with it, WAL and a busy timeout, none.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
            "PRAGMA cache_size=-20000; PRAGMA journal_size_limit=67108864"
        ),
    }
    # A file, as in life: the memory database's shared cache locks whole tables.
    DATABASES["default"]["TEST"] = {"NAME": DATA_DIR / "test.sqlite3"}
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A server that is gone without a word would be waited for for two minutes.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)

# --- Redis, where there is one: doorbells, queues and the live cache ----------------

REDIS_URL = envsecret("REDIS_URL", "")
CHANNEL_LAYERS: dict[str, Any] = {
    "default": (
        {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [REDIS_URL]},
        }
        if REDIS_URL
        else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
    )
}
# "live" holds what is true for seconds only: provisional text, worker status.
CACHES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "live": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "parley",
            "OPTIONS": {"socket_connect_timeout": 5, "socket_timeout": 5},
        }
        if REDIS_URL
        else {
            "BACKEND": "sessions.livefiles.LiveFiles",
            "LOCATION": DATA_DIR / "live",
        }
    ),
}
# How often a process without Redis looks for new events and tasks.
POLL_S = envfloat("POLL_S", 0.05, least=0.01)

# --- queues: one django-q2 cluster per kind of work, chosen by Q_CLUSTER_NAME -------

STT_WORKERS = envint("STT_WORKERS", 1, least=1)
MEDIA_WORKERS = envint("MEDIA_WORKERS", 1, least=1)
# `retry` must exceed `timeout` times everything one worker may hold, or the broker
# hands a running task to a second worker.
_STT_CLUSTER: dict[str, Any] = {
    "workers": STT_WORKERS,
    "queue_limit": STT_WORKERS,
    "timeout": 600,
    "retry": 2400,
    "max_attempts": 3,
    "recycle": 1_000_000,  # a new worker loads the model anew: never in mid-talk
    "poll": POLL_S,
}
_MEDIA_CLUSTER: dict[str, Any] = {
    "workers": MEDIA_WORKERS,
    "queue_limit": 1,
    "timeout": 7200,
    "retry": 30000,
    "max_attempts": 2,
    "recycle": 20,
    "poll": 0.5,  # nobody watches a mixer's clock
}
Q_CLUSTER: dict[str, Any] = {
    "name": "media",
    "bulk": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": -1,  # our rows tell what was done; no Success row for each doorbell
    "guard_cycle": 0.5,
    "cache": "live",
    "label": "Queue",
    "log_level": "WARNING",
    "ALT_CLUSTERS": {"stt": _STT_CLUSTER},
} | _MEDIA_CLUSTER
if REDIS_URL:
    Q_CLUSTER |= {"redis": REDIS_URL, "broker_class": "sessions.hosts.HostBroker"}
else:
    Q_CLUSTER["orm"] = "default"

# --- people -----------------------------------------------------------------------

# Whether whoever finds the page may make an account with a password.
OPEN_SIGN_UP = envbool("OPEN_SIGN_UP", default=False)
# "Sign in with Discord", where there is a client id. The test server has another URL.
DISCORD_CLIENT_ID = envstr("DISCORD_CLIENT_ID", "")
DISCORD_CLIENT_SECRET = envsecret("DISCORD_CLIENT_SECRET", "")
DISCORD_OAUTH_URL = envstr("DISCORD_OAUTH_URL", "https://discord.com").rstrip("/")
# Days for which it is believed which Discord servers somebody manages.
GUILDS_KEPT_DAYS = envint("GUILDS_KEPT_DAYS", 7, least=1)
# Days that it is known who looked at the sessions of others; 0: for ever.
AUDIT_KEEP_DAYS = envint("AUDIT_KEEP_DAYS", 365)

# --- sessions ---------------------------------------------------------------------

# Seconds of sound in one chunk: what is in storage while a session runs.
RECORDING_CHUNK_S = envfloat("RECORDING_CHUNK_S", 300.0, least=1.0)
# Whether what arrived is kept too, lossless, beside the MP3s.
KEEP_ORIGINALS = envbool("KEEP_ORIGINALS", default=False)
# Days after the end; 0: as long as the session. What is left of a voice goes with its
# master; words have days of their own.
KEEP_ORIGINALS_DAYS = envint("KEEP_ORIGINALS_DAYS", 30)
KEEP_CHUNKS_DAYS = envint("KEEP_CHUNKS_DAYS", 7)
KEEP_FRAGMENTS_DAYS = envint("KEEP_FRAGMENTS_DAYS", 90)
KEEP_MASTERS_DAYS = envint("KEEP_MASTERS_DAYS", 0)
KEEP_TRANSCRIPTS_DAYS = envint("KEEP_TRANSCRIPTS_DAYS", 0)
# The same for one source alone, where it is not as for all: `masters=30,chunks=1`.
_KINDS = ("originals", "chunks", "fragments", "masters", "transcripts")
KEEP_BROWSER_DAYS = envdays("KEEP_BROWSER_DAYS", "", of=_KINDS)
KEEP_DISCORD_DAYS = envdays("KEEP_DISCORD_DAYS", "", of=_KINDS)
KEEP_PHONE_DAYS = envdays("KEEP_PHONE_DAYS", "", of=_KINDS)
# How loud the master is (EBU R128), and its highest true peak.
LOUDNESS_LUFS = envfloat("LOUDNESS_LUFS", -16.0, least=-40.0)
LOUDNESS_DBTP = envfloat("LOUDNESS_DBTP", -1.5, least=-20.0)
SESSION_IDLE_TTL_S = envfloat("SESSION_IDLE_TTL_S", 90.0, least=1.0)
# Audio a client may send ahead of the clock, seconds: a reconnecting browser sends up
# to 30 s at once, a script perhaps a whole file. Beyond it the connection is a flood.
AUDIO_MAX_AHEAD_S = envfloat("AUDIO_MAX_AHEAD_S", 120.0, least=31.0)
# WebSockets and event streams of one address to one process, people who speak in one
# session, live sessions of one person, and changes a minute of one caller of the API;
# 0: as many as they like.
CONNECTIONS_PER_ADDRESS = envint("CONNECTIONS_PER_ADDRESS", 1000)
TRACKS_PER_SESSION = envint("TRACKS_PER_SESSION", 250)
SESSIONS_PER_USER = envint("SESSIONS_PER_USER", 100)
API_CHANGES_PER_MINUTE = envint("API_CHANGES_PER_MINUTE", 300)

# --- storage: a folder, or a bucket of anything that speaks S3 -----------------------

STORAGE_DIR = envpath("STORAGE_DIR", DATA_DIR / "storage")
S3_BUCKET = envstr("S3_BUCKET", "")
S3_REGION = envstr("S3_REGION", "us-east-1")
S3_ENDPOINT_URL = envstr("S3_ENDPOINT_URL", "").rstrip("/")
S3_PREFIX = envstr("S3_PREFIX", "").strip("/")
S3_ACCESS_KEY_ID = envsecret("S3_ACCESS_KEY_ID", "")
S3_SECRET_ACCESS_KEY = envsecret("S3_SECRET_ACCESS_KEY", "")
S3_SSE = envchoice("S3_SSE", "", of=("", "AES256", "aws:kms"))
S3_SSE_KMS_KEY_ID = envstr("S3_SSE_KMS_KEY_ID", "")
S3_ADDRESSING_STYLE = envchoice(
    "S3_ADDRESSING_STYLE", "auto", of=("auto", "path", "virtual")
)
# The checksums that boto3 adds by itself: some servers refuse them.
S3_CHECKSUMS = envchoice(
    "S3_CHECKSUMS", "when_supported", of=("when_supported", "when_required")
)
DOWNLOAD_LINK_S = envint("DOWNLOAD_LINK_S", 3600, least=1, most=7 * 24 * 3600)

# --- reports: a mail when a session is ready -----------------------------------------

# Django's: dummy sends nothing, smtp sends.
EMAIL_BACKEND = envstr("EMAIL_BACKEND", "django.core.mail.backends.dummy.EmailBackend")
SENDS_MAIL = not EMAIL_BACKEND.endswith(".dummy.EmailBackend")
REPORT_EMAILS = envbool("REPORT_EMAILS", default=True) and SENDS_MAIL
EMAIL_HOST = envstr("EMAIL_HOST", "localhost")
EMAIL_PORT = envint("EMAIL_PORT", 25, least=1)
EMAIL_HOST_USER = envstr("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = envsecret("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = envbool("EMAIL_USE_TLS", default=False)
EMAIL_USE_SSL = envbool("EMAIL_USE_SSL", default=False)
EMAIL_TIMEOUT = envint("EMAIL_TIMEOUT", 20, least=1)
DEFAULT_FROM_EMAIL = envstr("DEFAULT_FROM_EMAIL", "parley@localhost")

# --- listening --------------------------------------------------------------------

VAD_THRESHOLD = envfloat("VAD_THRESHOLD", 0.5)
VAD_RELEASE = envfloat("VAD_RELEASE", 0.35)
VAD_PREROLL_MS = envint("VAD_PREROLL_MS", 400)
VAD_SILENCE_MS = envint("VAD_SILENCE_MS", 800, least=100)
VAD_SOFT_MAX_S = envfloat("VAD_SOFT_MAX_S", 15.0, least=1.0)

# --- speech to text ---------------------------------------------------------------

STT_MODEL = envstr("STT_MODEL", "small")
STT_MODELS_DIR = envpath("STT_MODELS_DIR", DATA_DIR / "models")
STT_DOWNLOAD = envbool("STT_DOWNLOAD", default=True)
STT_DEVICE = envstr("STT_DEVICE", "cpu")
STT_COMPUTE_TYPE = envstr("STT_COMPUTE_TYPE", "int8")
STT_CPU_THREADS = envint("STT_CPU_THREADS", 4, least=1)
STT_BEAM_SIZE = envint("STT_BEAM_SIZE", 1, least=1)
STT_LANGUAGE = envstr("STT_LANGUAGE", "")
STT_HOTWORDS = envstr("STT_HOTWORDS", "")
STT_LEASE_S = envfloat("STT_LEASE_S", 120.0, least=1.0)
STT_MAX_ATTEMPTS = envint("STT_MAX_ATTEMPTS", 5, least=1)
STT_PARTIALS = envbool("STT_PARTIALS", default=True)
# Cheaper provisional text from a shorter audio context; how accurate is not known.
STT_PARTIAL_CONTEXT = envbool("STT_PARTIAL_CONTEXT", default=False)
# What turns sound into words: a class like transcripts.stt.WhisperEngine.
STT_ENGINE = envstr("STT_ENGINE", "transcripts.stt.WhisperEngine")

# --- tones ------------------------------------------------------------------------

TONE_CLASSIFIER_URL = envstr("TONE_CLASSIFIER_URL", "").rstrip("/")
TONE_CLASSIFIER = envchoice("TONE_CLASSIFIER", "", of=("", "mock"))
TONE_MIN_CONFIDENCE = envfloat("TONE_MIN_CONFIDENCE", 0.5)

# --- phone ------------------------------------------------------------------------

AUDIOSOCKET_HOST = envstr("AUDIOSOCKET_HOST", "127.0.0.1")
AUDIOSOCKET_PORT = envint("AUDIOSOCKET_PORT", 9092)
# Kind 0x10 is 8 kHz; a c(slin16) leg of an Asterisk before 20.17 sends 16 kHz under it.
AUDIOSOCKET_KIND10_RATE = int(
    envchoice("AUDIOSOCKET_KIND10_RATE", "8000", of=("8000", "16000"))
)
AUDIOSOCKET_ALLOW = envlist("AUDIOSOCKET_ALLOW", "")
AUDIOSOCKET_STRICT = envbool("AUDIOSOCKET_STRICT", default=False)
AUDIOSOCKET_MAX_CALLS = envint("AUDIOSOCKET_MAX_CALLS", 300, least=1)
CALL_SILENCE_S = envfloat("CALL_SILENCE_S", 10.0)
CALL_MAX_S = envfloat("CALL_MAX_S", 14400.0)
CALL_STORE_TTL_S = envint("CALL_STORE_TTL_S", 1800, least=1)
FILLER_DELAY_S = envfloat("FILLER_DELAY_S", 3.0)
BARGE_IN_MS = envint("BARGE_IN_MS", 150)
# What a call says by itself; what is not set is said as bot/phone/prompts.py has it.
CALL_GREETING = envtexts("CALL_GREETING", "")
CALL_STILL_THERE = envtexts("CALL_STILL_THERE", "")
CALL_FILLER = envtexts("CALL_FILLER", "")
CALL_APOLOGY = envtexts("CALL_APOLOGY", "")
CALL_GOODBYE = envtexts("CALL_GOODBYE", "")
# A caller's "Hello?" would otherwise cut off that the call is recorded.
CALL_GREETING_INTERRUPTIBLE = envbool("CALL_GREETING_INTERRUPTIBLE", default=False)
# The key that ends the recording of a caller; the call goes on. Empty: none does.
PHONE_OPTOUT_DIGIT = envchoice("PHONE_OPTOUT_DIGIT", "9", of=("", *"0123456789*#ABCD"))
# Where the bot process says how it is.
BOT_HEALTH_HOST = envstr("BOT_HEALTH_HOST", "127.0.0.1")
BOT_HEALTH_PORT = envint("BOT_HEALTH_PORT", 8080)
# How long a bot that is to stop lets the calls that run finish by themselves.
DRAIN_S = envfloat("DRAIN_S", 0.0)

# --- discord ----------------------------------------------------------------------

DISCORD_TOKEN = envsecret("DISCORD_TOKEN", "")
# The dotted path of a function that gives another aiohttp connector: the test Discord.
DISCORD_CONNECTOR = envstr("DISCORD_CONNECTOR", "")
# Which shards this process serves, of how many; by itself all of them.
SHARD_IDS = envnumbers("SHARD_IDS", "")
SHARD_COUNT = envint("SHARD_COUNT", 0)
# Off without it: reading messages is a privilege that Discord has to grant.
COMMAND_PREFIX = envstr("COMMAND_PREFIX", "")
ENABLE_VOICE_FEATURES = envbool("ENABLE_VOICE_FEATURES", default=True)
# How long a new room waits for whoever asked for it.
VOICE_TIMEOUT = envfloat("VOICE_TIMEOUT", 60.0, least=1.0)
# A call in which nobody speaks for so long is over; 0: never.
VOICE_INACTIVITY_S = envfloat("VOICE_INACTIVITY_S", 300.0)
# Calls at once, all bots together; 0: no limit.
VOICE_MAX_ACTIVE = envint("VOICE_MAX_ACTIVE", 0)
# The category, by name or id, in which rooms are made; none: at the top.
VOICE_CATEGORY = envstr("VOICE_CATEGORY", "")
# Discord ids; where there are some, nobody else's voice is kept.
VOICE_WHITELIST = envnumbers("VOICE_WHITELIST", "")
# Whether a call is refused where our nickname cannot say that it is recorded.
VOICE_REQUIRE_NICKNAME = envbool("VOICE_REQUIRE_NICKNAME", default=True)
# Whether the lines are written into the text channel while people talk.
VOICE_MIRROR = envbool("VOICE_MIRROR", default=True)
# In which calls the responder answers: in private rooms, in all, in none.
VOICE_RESPONDER = envchoice("VOICE_RESPONDER", "rooms", of=("rooms", "all", "none"))
LOGS_DIR = envpath("LOGS_DIR", DATA_DIR / "logs")

# --- voice: what we say, and who thinks of it ---------------------------------------

# espeak, piper, openai, none, or the dotted path of a class like bot.voice.tts.engine's
# Voice.
TTS = envstr("TTS", "espeak")
TTS_LANGUAGE = envstr("TTS_LANGUAGE", "en")
TTS_VOICE = envstr("TTS_VOICE", "")
# ITU-T P.56's active level; -26 is what telephone networks are planned for.
TTS_LEVEL_DBFS = envfloat("TTS_LEVEL_DBFS", -26.0, least=-40.0)
TTS_CACHE_MB = envint("TTS_CACHE_MB", 32)
TTS_PIPER_MODEL = envstr("TTS_PIPER_MODEL", "")
TTS_URL = envstr("TTS_URL", "").rstrip("/")
TTS_KEY = envsecret("TTS_KEY", "")
TTS_MODEL = envstr("TTS_MODEL", "")
TTS_FORMAT = envchoice("TTS_FORMAT", "wav", of=("wav", "pcm"))
TTS_TIMEOUT_S = envfloat("TTS_TIMEOUT_S", 10.0, least=0.1)
# none, echo, openai, or the dotted path of a class like bot.voice.responder.port's
# Responder.
RESPONDER = envstr("RESPONDER", "none")
RESPONDER_URL = envstr("RESPONDER_URL", "").rstrip("/")
RESPONDER_KEY = envsecret("RESPONDER_KEY", "")
RESPONDER_MODEL = envstr("RESPONDER_MODEL", "")
RESPONDER_PROMPT = envsecret(
    "RESPONDER_PROMPT",
    "You are a friendly voice on the telephone. Answer in one to three short sentences "
    "of plain words, in the language of the caller.",
)
# To whom it may transfer: names the dialplan knows. Never to anybody else.
RESPONDER_TRANSFERS = envlist("RESPONDER_TRANSFERS", "")
RESPONDER_TOOLS = envbool("RESPONDER_TOOLS", default=True)
RESPONDER_TIMEOUT_S = envfloat("RESPONDER_TIMEOUT_S", 15.0, least=0.1)

# --- figures ----------------------------------------------------------------------

# Who may read /metrics; empty: there is none.
METRICS_TOKEN = envsecret("METRICS_TOKEN", "")
METRICS_DIR = DATA_DIR / "metrics"
if METRICS_TOKEN:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(METRICS_DIR)  # read nowhere else

# --- logs -------------------------------------------------------------------------

LOG_LEVEL = envchoice("LOG_LEVEL", "INFO", of=("DEBUG", "INFO", "WARNING", "ERROR"))
LOG_JSON = envbool("LOG_JSON", default=False)
LOGGING = logs.configured(level=LOG_LEVEL, as_json=LOG_JSON)

"""Settings: the only reader of the environment.

Every variable has a type and a safe default; docs/settings.md lists them. A value
from the process wins over ``.env`` in the working directory.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from nodetool_site import __version__
from nodetool_site.lib import modes
from nodetool_site.lib.environment import Environment, saved_secret
from nodetool_site.lib.hosts import default_allowed_hosts
from nodetool_site.lib.registered import SECRETS, SETTINGS
from workflows.providers.registry import BASE_URL_SETTINGS, PROVIDERS

env = Environment()
if (DOTENV := Path.cwd() / ".env").is_file():
    Environment.read_dotenv(DOTENV)
BASE_DIR = Path(__file__).resolve().parent.parent

# --- Server
ENVS = ("development", "test", "production")
ENV = env.choice("ENV", default="", among=("", *ENVS)) or env.choice(
    "NODETOOL_ENV", default="development", among=ENVS
)
IS_PRODUCTION = ENV == "production"
DEBUG = env.bool("DEBUG", default=False)
HOST = env.str("HOST", default="127.0.0.1")
PORT = env.port("PORT", default=7777)
SERVER_MODE_CHOSEN = modes.mode_named(
    env.choice("NODETOOL_SERVER_MODE", default="", among=("", *modes.CHOICES))
)
SERVER_MODE = SERVER_MODE_CHOSEN or modes.default_mode(is_production=IS_PRODUCTION)
NODETOOL_API_URL = env.str("NODETOOL_API_URL", default="http://localhost:7777")
LOG_LEVEL = env.choice(
    "LOG_LEVEL",
    default="info",
    among=("debug", "info", "warning", "error", "critical"),
).upper()
TRUST_PROXY_HEADERS = env.bool("TRUST_PROXY_HEADERS", default=False)
DISABLED_SURFACES: frozenset[str] = frozenset()  # ``serve --disable-...``

# --- Authentication
AUTH_PROVIDER_CHOSEN = env.str("AUTH_PROVIDER", default="").lower()
AUTH_PROVIDER = AUTH_PROVIDER_CHOSEN or modes.default_provider(
    SERVER_MODE, HOST, is_production=IS_PRODUCTION
)
SERVER_AUTH_TOKEN = env.str("SERVER_AUTH_TOKEN", default="")
SUPABASE_URL = env.str("SUPABASE_URL", default="").rstrip("/")
SUPABASE_KEY = env.str("SUPABASE_KEY", default="")
SUPABASE_JWT_SECRET = env.str("SUPABASE_JWT_SECRET", default="")
SUPABASE_JWKS = env.bool("SUPABASE_JWKS", default=False)
AUTH_CACHE_TTL = env.whole(
    "AUTH_CACHE_TTL", default=env.whole("REMOTE_AUTH_CACHE_TTL", default=60)
)
AUTH_CACHE_MAX = env.whole(
    "AUTH_CACHE_MAX", default=env.whole("REMOTE_AUTH_CACHE_MAX", default=2_000)
)
ADMIN_TOKEN = env.str("ADMIN_TOKEN", default="")
ALLOWED_HOSTS_CHOSEN = env.words("ALLOWED_HOSTS", default=[])
ALLOWED_HOSTS = ALLOWED_HOSTS_CHOSEN or default_allowed_hosts(
    AUTH_PROVIDER, HOST, is_hardened=SERVER_MODE in modes.HARDENED
)
CORS_ORIGINS = env.words("CORS_ORIGINS", default=["*"])
AUTH_USER_MODEL = "storage.User"
AUTH_FAILURES_PER_MINUTE = env.whole("AUTH_FAILURES_PER_MINUTE", default=20)

# --- Data
DB_PATH = Path(
    env.str("DB_PATH", default="~/.local/share/nodetool/nodetool.sqlite3")
).expanduser()
DATA_FOLDER = DB_PATH.parent
ASSET_FOLDER = Path(
    env.str("ASSET_FOLDER", default="~/.local/share/nodetool/assets")
).expanduser()
ASSET_BUCKET = env.str("ASSET_BUCKET", default="images")
ASSET_TEMP_BUCKET = env.str("ASSET_TEMP_BUCKET", default="")
ASSET_DOMAIN = env.str("ASSET_DOMAIN", default="")
ASSET_TEMP_DOMAIN = env.str("ASSET_TEMP_DOMAIN", default="")
S3_ENDPOINT_URL = env.str("S3_ENDPOINT_URL", default="")
S3_ACCESS_KEY_ID = env.str("S3_ACCESS_KEY_ID", default="")
S3_SECRET_ACCESS_KEY = env.str("S3_SECRET_ACCESS_KEY", default="")
S3_REGION = env.str("S3_REGION", default="us-east-1")
SENDFILE_HEADER = env.choice(
    "SENDFILE_HEADER", default="none", among=("none", "x-accel-redirect", "x-sendfile")
)
SENDFILE_PREFIX = env.str("SENDFILE_PREFIX", default="/protected/")
WORKSPACE_FOLDER = Path(
    env.str("WORKSPACE_FOLDER", default=str(DATA_FOLDER / "workspaces"))
).expanduser()
STORAGE_PUBLIC_READ = env.bool("STORAGE_PUBLIC_READ", default=False)
STORAGE_LINK_TTL = env.whole("STORAGE_LINK_TTL", default=86_400)
INLINE_ASSET_LIMIT = env.whole("INLINE_ASSET_LIMIT", default=4 * 1024**2)
TEMP_ASSET_TTL = env.whole("TEMP_ASSET_TTL", default=86_400)
AUTOSAVE_ENABLED = env.bool("AUTOSAVE_ENABLED", default=True)
AUTOSAVE_INTERVAL_MINUTES = env.whole("AUTOSAVE_INTERVAL_MINUTES", default=5)
AUTOSAVE_MIN_INTERVAL_SECONDS = env.whole("AUTOSAVE_MIN_INTERVAL_SECONDS", default=30)
AUTOSAVE_MAX_VERSIONS_PER_WORKFLOW = env.whole(
    "AUTOSAVE_MAX_VERSIONS_PER_WORKFLOW", default=50
)
AUTOSAVE_KEEP_DAYS = env.whole("AUTOSAVE_KEEP_DAYS", default=7)

SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
POSTGRES_OPTIONS = {
    "connect_timeout": 2,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def _database() -> dict[str, Any]:
    """Return the database: ``DATABASE_URL``, else ``POSTGRES_DB``, else SQLite."""
    if env.str("DATABASE_URL", default=""):
        database = env.database("DATABASE_URL")
    elif env.str("POSTGRES_DB", default=""):
        database = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": env.str("POSTGRES_DB"),
            "USER": env.str("POSTGRES_USER", default=""),
            "PASSWORD": env.str("POSTGRES_PASSWORD", default=""),
            "HOST": env.str("POSTGRES_HOST", default="localhost"),
            "PORT": env.port("POSTGRES_PORT", default=5432),
        }
    else:
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": DB_PATH}
    is_sqlite = database["ENGINE"].endswith("sqlite3")
    defaults = SQLITE_OPTIONS if is_sqlite else POSTGRES_OPTIONS
    database["OPTIONS"] = {**defaults, **database.get("OPTIONS", {})}
    # Threads that use the database are long-lived and drop a broken connection
    # themselves (lib/db.py), so no connection has an age.
    database["CONN_MAX_AGE"] = None
    return database


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
IS_SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")


DJANGO_SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="")


def _secret_key() -> str:
    if DJANGO_SECRET_KEY:
        return str(DJANGO_SECRET_KEY)
    if IS_PRODUCTION:  # here already: none must be made
        raise ImproperlyConfigured(
            "ENV=production needs DJANGO_SECRET_KEY; set it to a long random text"
        )
    return saved_secret(DATA_FOLDER / "django_secret_key")


SECRET_KEY = _secret_key()
SECRETS_MASTER_KEY = env.str("SECRETS_MASTER_KEY", default="")
# What the nodes of a job get where its owner has stored no key of their own.
PROVIDER_KEYS: dict[str, str] = {
    secret.name: env.str(secret.name, default="") for secret in SECRETS
}
# Over these, what is stored through the API does not win.
SET_BY_ENVIRONMENT = {
    setting.name for setting in SETTINGS if env.str(setting.name, default="")
}
if env.str("DEFAULT_EXECUTION_STRATEGY", default=""):
    SET_BY_ENVIRONMENT.add("JOB_EXECUTION_STRATEGY")

# --- Jobs and messaging
REDIS_URL = env.str("REDIS_URL", default="")
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL)
CHANNEL_LAYER_URL = env.str("CHANNEL_LAYER_URL", default=REDIS_URL)
IS_SCALE_OUT = bool(CELERY_BROKER_URL)


def _channel_prefix() -> str:
    """Keep installs on one Redis apart: its channels know no database numbers.

    Of names alone: the processes of one install may reach a host by different ones.
    """
    number = CHANNEL_LAYER_URL.rpartition("/")[2]
    name = f"{number} {DATABASES['default']['NAME']}"
    return "nodetool-" + hashlib.sha256(name.encode()).hexdigest()[:12]


CHANNEL_LAYERS: dict[str, Any] = (
    {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [CHANNEL_LAYER_URL], "prefix": _channel_prefix()},
        }
    }
    if CHANNEL_LAYER_URL
    else {}
)
STRATEGIES = ("threaded", "subprocess", "docker")
JOB_EXECUTION_STRATEGY = env.choice(
    "DEFAULT_EXECUTION_STRATEGY", default="", among=("", *STRATEGIES)
) or env.choice("JOB_EXECUTION_STRATEGY", default="threaded", among=STRATEGIES)
WORKER_CONCURRENCY = env.whole("WORKER_CONCURRENCY", default=32) or 1
WORKER_DRAIN_SECONDS = env.whole("WORKER_DRAIN_SECONDS", default=60)
NODE_PACKAGES = env.words("NODE_PACKAGES", default=[])
NODETOOL_RUN_TIMEOUT = env.whole("NODETOOL_RUN_TIMEOUT", default=300)
JOB_TIME_LIMIT = env.whole("JOB_TIME_LIMIT", default=3_600)
SSE_SUSPEND_TIMEOUT = env.whole("SSE_SUSPEND_TIMEOUT", default=60)
KEEPALIVE_SECONDS = env.whole("KEEPALIVE_SECONDS", default=15)
WS_PING_SECONDS = env.whole("WS_PING_SECONDS", default=25)

# --- Celery (read through the CELERY namespace). The database is the truth: a
# message is a doorbell, taken early, holds ids only and has no result.
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = "nodetool"
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TIMEZONE = "UTC"
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_CONCURRENCY = WORKER_CONCURRENCY
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"socket_timeout": 30, "socket_connect_timeout": 2, "socket_keepalive": True}
    if CELERY_BROKER_URL.startswith("redis")
    else {}
)

# --- Models and chat
CHAT_PROVIDER = env.choice("CHAT_PROVIDER", default="ollama", among=tuple(PROVIDERS))
DEFAULT_MODEL_CHOSEN = env.str("DEFAULT_MODEL", default="")
DEFAULT_MODEL = DEFAULT_MODEL_CHOSEN or "llama3.2:latest"
SERVER_TOOLS: tuple[str, ...] = tuple(env.words("NODETOOL_TOOLS", default=[]))
CHAT_SERVER_WORKFLOWS: tuple[str, ...] = ()  # ids: ``chat-server --workflow``
# What a run gets to reach models and conversations: chat stands above jobs, so it is
# named here.
RUN_MODELS = "chat.run_ports.RunModels"
RUN_THREADS = "chat.run_ports.RunThreads"
PROVIDER_TIMEOUT = env.whole("PROVIDER_TIMEOUT", default=60) or 60
PROVIDER_BASE_URLS: dict[str, str] = {
    name: env.str(name, default="").rstrip("/") for name in BASE_URL_SETTINGS
}
# None: by the mode, which ``serve --mode`` may still change.
FAKE_PROVIDER_CHOSEN: bool | None = env.bool(
    "NODETOOL_ENABLE_FAKE_PROVIDER",
    default=env.bool("NODETOOL_MOCK_MODE", default=None),
)
ALLOW_PRIVATE_EGRESS: tuple[str, ...] = tuple(
    env.words("ALLOW_PRIVATE_EGRESS", default=[])
)

# --- Limits (0 turns one off)
MAX_BODY_BYTES = env.whole("MAX_BODY_BYTES", default=10 * 1024**2)
MAX_UPLOAD_BYTES = env.whole("MAX_UPLOAD_BYTES", default=512 * 1024**2)
WS_MAX_MESSAGE_BYTES = env.whole("WS_MAX_MESSAGE_BYTES", default=16 * 1024**2)
STORAGE_QUOTA_BYTES = env.whole("STORAGE_QUOTA_BYTES", default=10 * 1024**3)
WS_MAX_MESSAGES_PER_SECOND = env.whole("WS_MAX_MESSAGES_PER_SECOND", default=50)
WS_MAX_CONNECTIONS_PER_USER = env.whole("WS_MAX_CONNECTIONS_PER_USER", default=20)
RATE_LIMIT_PER_MINUTE = env.whole("RATE_LIMIT_PER_MINUTE", default=600)
RUN_LIMIT_PER_MINUTE = env.whole("RUN_LIMIT_PER_MINUTE", default=60)
MAX_RUNNING_JOBS_PER_USER = env.whole("MAX_RUNNING_JOBS_PER_USER", default=20)
MAX_QUEUED_JOBS_PER_USER = env.whole("MAX_QUEUED_JOBS_PER_USER", default=500)
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES or None
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000

# --- Applications
INSTALLED_APPS = [
    "nodetool_site",  # first: its runserver and its templates win
    "django.contrib.admin.apps.SimpleAdminConfig",  # admin_urls.py loads the forms
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "channels",
    "storage",
    "workflows",
    "jobs",
    "chat",
]
# API paths pass one async middleware; the page middlewares let them through.
MIDDLEWARE = [
    "nodetool_site.static_files.StaticFilesMiddleware",
    "nodetool_site.middleware.ApiMiddleware",
    "nodetool_site.middleware.PageThreadMiddleware",
    "nodetool_site.middleware.PageSecurityMiddleware",
    "nodetool_site.middleware.PageSessionMiddleware",
    "nodetool_site.middleware.PageCsrfMiddleware",
    "nodetool_site.middleware.PageAuthenticationMiddleware",
    "nodetool_site.middleware.PageMessageMiddleware",
    "nodetool_site.middleware.PageXFrameOptionsMiddleware",
]
ROOT_URLCONF = "nodetool_site.urls"
ASGI_APPLICATION = "nodetool_site.asgi.application"
APPEND_SLASH = False
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
            ]
        },
    }
]

# --- REST
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["nodetool_site.auth.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["nodetool_site.lib.rendering.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["nodetool_site.lib.rendering.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": (
        "nodetool_site.lib.rendering.IgnoreAcceptNegotiation"
    ),
    "DEFAULT_SCHEMA_CLASS": "nodetool_site.lib.api_schema.Schema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "nodetool_site.lib.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "DATETIME_FORMAT": "%Y-%m-%dT%H:%M:%S.%f+00:00",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "NodeTool server",
    "DESCRIPTION": "Workflows, runs and files over REST. HEAD works wherever GET does; "
    "events of a run also come over the WebSocket `/ws`.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": r"/(api/)?",
    "POSTPROCESSING_HOOKS": [],
}


# --- Pages
def _swagger_files() -> list[tuple[str, Path]]:
    """Return where the files of the page that shows the API lie, without importing."""
    spec = find_spec("drf_spectacular_sidecar")
    if spec is None or spec.origin is None:  # a tool in an environment of its own
        return []
    files = Path(spec.origin).parent / "static" / spec.name / "swagger-ui-dist"
    return [("swagger-ui", files)]


STATIC_URL = "/static/"
STATICFILES_DIRS = _swagger_files()
WHITENOISE_USE_FINDERS = True  # from the packages; nothing is collected
WHITENOISE_ROOT: Path | None = None  # ``serve --static-folder``
WHITENOISE_INDEX_FILE = True
LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"
LOGIN_URL = "/admin/login/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
    )
]

# --- Security of the pages
SESSION_COOKIE_SECURE = IS_PRODUCTION
CSRF_COOKIE_SECURE = IS_PRODUCTION
SESSION_COOKIE_HTTPONLY = True
# Not no-referrer: with it a browser sends the sign-in form with ``Origin: null``, which
# the check of origins refuses.
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if TRUST_PROXY_HEADERS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    USE_X_FORWARDED_HOST = True
SILENCED_SYSTEM_CHECKS = [
    # These look for Django's own security middlewares by name; ours are subclasses of
    # them that let API paths pass.
    "security.W001",
    "security.W002",
    "security.W003",
    # The server speaks plain http, also to the clients of its API reference; https
    # and its strict transport header belong to the proxy in front of it.
    "security.W004",
    "security.W008",
]

# --- Logs: to standard error, one line each; standard output is for results
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "nodetool_site.lib.redaction.RedactingFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        },
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
    },
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"level": "INFO"},
        "daphne": {"level": "WARNING"},
        "asyncio": {"level": "WARNING"},
        "twisted": {"level": "WARNING"},
        # Uvicorn's own lines hold the query, and so tokens: ours are told instead.
        "uvicorn": {"handlers": ["stderr"], "propagate": False},
        "uvicorn.access": {"level": "WARNING"},
        # Two lines for every ring; the job itself tells what becomes of it.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
    },
}

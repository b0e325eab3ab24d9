"""Settings of the HTTP service; part of `Settings` (`resources/settings.py`)."""

from typing import Literal

from pydantic import BaseModel, Field, PositiveInt, SecretStr

from resources.setting_types import Hosts, Words

__all__ = ["ServiceSettings"]


class ServiceSettings(BaseModel):
    """Fields of `Settings` that only the service reads. Limits do not hold in open mode."""

    auth: str | None = Field(
        default=None,
        alias="SUNRIZA_AUTH",
        pattern=r"^(required|off|anonymous-until=\d{4}-\d{2}-\d{2})$",
        description="Who may call the service: `required` (Firebase ID token or API key), `off`"
        " (everybody; loopback only), or `anonymous-until=YYYY-MM-DD` (as required,"
        " but old app builds may make and trim without a token until then).",
        json_schema_extra={"group": "Service", "default": "off on loopback, else required"},
    )
    dispatch: Literal["here", "queue"] = Field(
        default="here",
        alias="SUNRIZA_DISPATCH",
        description="Who works on jobs: a warm worker beside the service, or whatever launcher"
        " Dagster is configured with (Celery, Kubernetes, Modal).",
        json_schema_extra={"group": "Service"},
    )
    orders_url: SecretStr | None = Field(
        default=None,
        alias="SUNRIZA_ORDERS_URL",
        description="Postgres database of the service's jobs,"
        " postgresql://user:password@host/name; without it they are kept in SQLite"
        " below SUNRIZA_HOME.",
        json_schema_extra={"group": "Service", "default": "SQLite"},
    )
    api_processes: PositiveInt = Field(
        default=1,
        alias="SUNRIZA_API_PROCESSES",
        description="Processes that answer HTTP requests.",
        json_schema_extra={"group": "Service"},
    )
    metrics_port: int = Field(
        default=9464,
        alias="SUNRIZA_METRICS_PORT",
        ge=0,
        le=65535,
        description="Port of the metrics beside the service's own; 0 for none.",
        json_schema_extra={"group": "Service"},
    )
    cors_origins: Words = Field(
        default=(),
        alias="SUNRIZA_CORS_ORIGINS",
        description="Origins whose pages may call the service, separated by commas:"
        " https://app.example.com. No wildcards.",
        json_schema_extra={"group": "Service", "default": "none"},
    )
    trusted_proxies: Words = Field(
        default=(),
        alias="SUNRIZA_TRUSTED_PROXIES",
        description="Addresses or networks of proxies whose X-Forwarded-For counts, separated by"
        " commas.",
        json_schema_extra={"group": "Service", "default": "none"},
    )
    public_hosts: Hosts = Field(
        default=(),
        alias="SUNRIZA_PUBLIC_HOSTS",
        description="Host names under which the service is reached; requests for others are"
        " refused.",
        json_schema_extra={"group": "Service", "default": "any, with identity required"},
    )
    certs_url: str = Field(
        default="https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com",
        alias="SUNRIZA_CERTS_URL",
        description="Where the certificates that sign Firebase ID tokens are published.",
        json_schema_extra={"group": "Service", "default": "Google's"},
    )
    auth_emulator: str | None = Field(
        default=None,
        alias="FIREBASE_AUTH_EMULATOR_HOST",
        description="host:port of a Firebase Auth emulator. Its tokens carry no signature, so the"
        " service starts with it only if SUNRIZA_AUTH is `off`.",
        json_schema_extra={"group": "Service", "default": "none"},
    )
    consent: Literal["optional", "required"] = Field(
        default="optional",
        alias="SUNRIZA_CONSENT",
        description="Whether a caller has to declare (`consent: true`) that the person shown"
        " agrees.",
        json_schema_extra={"group": "Service"},
    )
    dagster_ui: str | None = Field(
        default=None,
        alias="SUNRIZA_DAGSTER_UI",
        description="Address of the Dagster UI, which the page `/` links to for this machine.",
        json_schema_extra={"group": "Service", "default": "none; set by `sunriza serve`"},
    )
    keep_audio_hours: PositiveInt = Field(
        default=24,
        alias="SUNRIZA_KEEP_AUDIO_HOURS",
        description="Hours for which a spoken sound can be fetched.",
        json_schema_extra={"group": "Service"},
    )
    credits: Literal["off", "enforce"] = Field(
        default="off",
        alias="SUNRIZA_CREDITS",
        description="Whether the service charges credits for runs after an avatar's first.",
        json_schema_extra={"group": "Service"},
    )
    push: Literal["off", "fcm"] = Field(
        default="off",
        alias="SUNRIZA_PUSH",
        description="Whether the end of a job is pushed to its owner's devices through Firebase"
        " Cloud Messaging.",
        json_schema_extra={"group": "Service"},
    )
    fcm_url: str = Field(
        default="https://fcm.googleapis.com",
        alias="SUNRIZA_FCM_URL",
        description="Address of Firebase Cloud Messaging's HTTP v1 API.",
        json_schema_extra={"group": "Service"},
    )
    cdn: str | None = Field(
        default=None,
        alias="SUNRIZA_CDN",
        description="Prefix of a CDN in front of the bucket, for the addresses that the gallery"
        " names.",
        json_schema_extra={"group": "Service", "default": "none"},
    )
    reads_per_minute: PositiveInt = Field(
        default=600,
        alias="SUNRIZA_READS_PER_MINUTE",
        description="Requests of any kind that one caller may send in a minute.",
        json_schema_extra={"group": "Service"},
    )
    renders_per_minute: PositiveInt = Field(
        default=120,
        alias="SUNRIZA_RENDERS_PER_MINUTE",
        description="Emotion pictures that one caller may ask for in a minute.",
        json_schema_extra={"group": "Service"},
    )
    jobs_per_minute: PositiveInt = Field(
        default=20,
        alias="SUNRIZA_JOBS_PER_MINUTE",
        description="Requests that make a job which one caller may send in a minute.",
        json_schema_extra={"group": "Service"},
    )
    unfinished_jobs: PositiveInt = Field(
        default=3,
        alias="SUNRIZA_UNFINISHED_JOBS",
        description="Unfinished jobs that one caller may have.",
        json_schema_extra={"group": "Service"},
    )
    jobs_per_day: PositiveInt = Field(
        default=50,
        alias="SUNRIZA_JOBS_PER_DAY",
        description="Jobs that one caller may make in 24 hours.",
        json_schema_extra={"group": "Service"},
    )
    upload_bytes_per_day: PositiveInt = Field(
        default=2_000_000_000,
        alias="SUNRIZA_UPLOAD_BYTES_PER_DAY",
        description="Bytes that one caller may upload in 24 hours.",
        json_schema_extra={"group": "Service"},
    )
    queued_jobs: PositiveInt = Field(
        default=500,
        alias="SUNRIZA_QUEUED_JOBS",
        description="Unfinished jobs of all callers together; more are answered 503.",
        json_schema_extra={"group": "Service"},
    )

"""The settings of a process: one typed object, read from the environment once.

Every environment variable that this system reads is a field of `Settings`; `sunriza settings` and
`docs/settings.md` are made from it. Render parameters are not settings: they belong to an avatar
(`sunriza_assets/studio/parameters.py`). Variables of other systems that only pass through
(`CUDA_VISIBLE_DEVICES`, `PATH`) are not settings either.

`current_settings()` is what resources and commands read. It parses the environment again only when
one of its variables has changed, so that a process validates its settings once.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, PositiveInt, SecretStr, ValidationError

from resources.service_settings import ServiceSettings
from resources.setting_types import Folder, Hosts, RunLimit
from sunriza_assets.errors import ParameterError

__all__ = ["Setting", "Settings", "current_settings", "describe_settings"]

_MASK: Final = "(set, not shown)"


class Settings(ServiceSettings):
    """All settings of one process; an alias is the environment variable's name."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True
    )

    home: Folder = Field(
        default_factory=lambda: Path("data").absolute(),
        alias="SUNRIZA_HOME",
        description="Folder in which the embedded default keeps everything.",
        json_schema_extra={"group": "Files", "default": "./data"},
    )
    models: Folder | None = Field(
        default=None,
        alias="SUNRIZA_MODELS",
        description="Folder of model files.",
        json_schema_extra={"group": "Files", "default": "SUNRIZA_HOME/models"},
    )
    speech_cache_mb: PositiveInt = Field(
        default=1000,
        alias="SUNRIZA_SPEECH_CACHE_MB",
        description="Megabytes that spoken sounds may take below SUNRIZA_HOME/cache; the least"
        " recently used go first.",
        json_schema_extra={"group": "Files"},
    )
    media_url: str = Field(
        default="/files",
        alias="SUNRIZA_MEDIA_URL",
        pattern=r"^(https?://|/)",
        description="Address at which a browser finds the objects of the local store; the default"
        " is a path of whichever UI shows the link.",
        json_schema_extra={"group": "Files"},
    )
    store: Literal["local", "firebase"] = Field(
        default="local",
        alias="SUNRIZA_STORE",
        description="Where documents and objects are kept: files below SUNRIZA_HOME, or Firestore"
        " and Firebase Storage.",
        json_schema_extra={"group": "Stores"},
    )
    keep_versions: int = Field(
        default=5,
        alias="SUNRIZA_KEEP_VERSIONS",
        ge=1,
        le=30,
        description="Published versions of an avatar that are kept to be put in place again, the"
        " one in place included.",
        json_schema_extra={"group": "Stores"},
    )
    allowed_hosts: Hosts = Field(
        default=(),
        alias="SUNRIZA_ALLOWED_HOSTS",
        description="Hosts besides the bucket that portraits and clips may be fetched from,"
        " separated by commas.",
        json_schema_extra={"group": "Stores", "default": "none"},
    )
    firebase_project: str | None = Field(
        default=None,
        alias="SUNRIZA_FIREBASE_PROJECT",
        description="Firebase project id.",
        json_schema_extra={"group": "Stores", "default": "GOOGLE_CLOUD_PROJECT"},
    )
    google_cloud_project: str | None = Field(
        default=None,
        alias="GOOGLE_CLOUD_PROJECT",
        description="Google's own name for the project, used where SUNRIZA_FIREBASE_PROJECT is"
        " not set.",
        json_schema_extra={"group": "Stores", "default": "the credentials' project"},
    )
    firebase_bucket: str | None = Field(
        default=None,
        alias="SUNRIZA_FIREBASE_BUCKET",
        description="Bucket of Firebase Storage.",
        json_schema_extra={"group": "Stores", "default": "<project>.firebasestorage.app"},
    )
    firestore_database: str | None = Field(
        default=None,
        alias="SUNRIZA_FIRESTORE_DATABASE",
        description="Firestore database.",
        json_schema_extra={"group": "Stores", "default": "(default)"},
    )
    firebase_credentials: SecretStr | None = Field(
        default=None,
        alias="FIREBASE_CREDENTIALS",
        description="A service account's key as JSON text.",
        json_schema_extra={"group": "Stores", "default": "what the machine offers"},
    )
    google_application_credentials: Folder | None = Field(
        default=None,
        alias="GOOGLE_APPLICATION_CREDENTIALS",
        description="A service account's key as a file.",
        json_schema_extra={"group": "Stores", "default": "what the machine offers"},
    )
    firestore_emulator: str | None = Field(
        default=None,
        alias="FIRESTORE_EMULATOR_HOST",
        description="host:port of a Firestore emulator; needs STORAGE_EMULATOR_HOST as well.",
        json_schema_extra={"group": "Stores", "default": "none"},
    )
    storage_emulator: str | None = Field(
        default=None,
        alias="STORAGE_EMULATOR_HOST",
        description="URL of a Cloud Storage emulator; needs FIRESTORE_EMULATOR_HOST as well.",
        json_schema_extra={"group": "Stores", "default": "none"},
    )
    executor: Literal["in_process", "multiprocess", "celery", "k8s"] = Field(
        default="in_process",
        alias="SUNRIZA_EXECUTOR",
        description="Which executor works through the steps of a run.",
        json_schema_extra={"group": "Runs"},
    )
    modal_app: str | None = Field(
        default=None,
        alias="SUNRIZA_MODAL_APP",
        description="Modal app that does the engine's work; without it this machine does.",
        json_schema_extra={"group": "Runs", "default": "none"},
    )
    owner_runs_per_day: RunLimit = Field(
        default=50,  # an afternoon of trying out parameters, or a dozen avatars and some changes
        alias="SUNRIZA_OWNER_RUNS_PER_DAY",
        description="How many runs one owner's documents may ask for in 24 hours: a number, or"
        " `unlimited`.",
        json_schema_extra={"group": "Runs"},
    )
    dagster_home: Folder | None = Field(
        default=None,
        alias="DAGSTER_HOME",
        description="Home of an operator's own Dagster instance.",
        json_schema_extra={"group": "Runs", "default": "SUNRIZA_HOME/dagster"},
    )
    celery_broker: SecretStr | None = Field(
        default=None,
        alias="SUNRIZA_CELERY_BROKER",
        description="Broker of the Celery workers, redis://user:password@host:port/database.",
        json_schema_extra={"group": "Runs", "default": "none"},
    )
    postgres_url: SecretStr | None = Field(
        default=None,
        alias="SUNRIZA_POSTGRES_URL",
        description="Dagster's Postgres database, postgresql+psycopg2://user:password@host/name;"
        " read by deploy/celery/dagster.yaml.",
        json_schema_extra={"group": "Runs", "default": "none"},
    )
    marks: Literal["on", "off"] = Field(
        default="on",
        alias="SUNRIZA_MARKS",
        description="Whether published videos, pictures and sounds carry a signed C2PA manifest"
        " that says they are synthetic.",
        json_schema_extra={"group": "Marks"},
    )
    signing_key: SecretStr | None = Field(
        default=None,
        alias="SUNRIZA_SIGNING_KEY",
        description="The key that signs marks, as PEM text: private key, its certificate, those"
        " above it; then roots of former keys. One for all machines of an installation.",
        json_schema_extra={"group": "Marks", "default": "SUNRIZA_SIGNING_KEY_FILE"},
    )
    signing_key_file: Folder | None = Field(
        default=None,
        alias="SUNRIZA_SIGNING_KEY_FILE",
        description="The same as a file.",
        json_schema_extra={
            "group": "Marks",
            "default": "SUNRIZA_HOME/keys/signing.pem, made when it is first needed",
        },
    )
    price_book: str | None = Field(
        default=None,
        alias="SUNRIZA_PRICE_BOOK",
        description="Name of a shipped price book, or path of a YAML file.",
        json_schema_extra={"group": "Costs", "default": "the shipped book"},
    )
    budget: NonNegativeFloat | None = Field(
        default=None,
        alias="SUNRIZA_BUDGET",
        description="What one published run may cost before a check warns, in the price book's"
        " currency.",
        json_schema_extra={"group": "Costs", "default": "none"},
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Read and check all settings; an empty variable counts as not set.

        Raises:
            ParameterError: a value is wrong; the message names every wrong one, and no secret.
        """
        settings, problems = _checked(environment)
        if settings is None:
            wrong = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
            raise ParameterError(
                f"Settings are wrong: {wrong}",
                remedy="`sunriza settings` lists each with its meaning.",
                code="setting",
            )
        return settings


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it is shown."""

    name: str
    """The environment variable."""
    group: str
    """Heading under which it is listed."""
    value: str
    """Its value as text, masked if it is a secret; what the default means where it is not set."""
    default: str
    """The default as text."""
    source: Literal["environment", "default"]
    """Where the value comes from."""
    meaning: str
    """One sentence."""
    choices: tuple[str, ...]
    """The values it may take; empty if any text is allowed."""
    problem: str | None
    """What is wrong with its value, if anything."""


_NAMES: Final = tuple(str(field.alias) for field in Settings.model_fields.values())


def current_settings() -> Settings:
    """The settings of this process.

    Raises:
        ParameterError: a value is wrong; the message names every wrong one.
    """
    folder = "" if os.environ.get("SUNRIZA_HOME") else str(Path.cwd())
    given = tuple((name, os.environ[name]) for name in _NAMES if os.environ.get(name))
    return _parsed(given, folder)


@lru_cache(maxsize=8)
def _parsed(given: tuple[tuple[str, str], ...], folder: str) -> Settings:
    del folder  # part of the key only: relative paths depend on it
    return Settings.from_environment(dict(given))


def describe_settings(environment: Mapping[str, str]) -> Iterator[Setting]:
    """All settings in the order of their fields, secrets masked and problems named."""
    settings, problems = _checked(environment)
    for field_name, field in Settings.model_fields.items():
        extra: dict[str, Any] = dict(field.json_schema_extra or {})  # type: ignore[arg-type]
        name = str(field.alias)
        default = str(extra.get("default", field.default))
        is_set = bool(environment.get(name, "").strip())
        yield Setting(
            name=name,
            group=str(extra["group"]),
            value=_shown(settings, field_name, environment[name]) if is_set else default,
            default=default,
            source="environment" if is_set else "default",
            meaning=str(field.description),
            choices=tuple(getattr(field.annotation, "__args__", ()))
            if getattr(field.annotation, "__origin__", None) is Literal
            else (),
            problem=problems.get(name),
        )


def _checked(environment: Mapping[str, str]) -> tuple[Settings | None, dict[str, str]]:
    """The settings, or None and what is wrong by variable; no message quotes a value."""
    given = {name: value for name in _NAMES if (value := environment.get(name, "").strip())}
    try:
        return Settings.model_validate(given), {}
    except ValidationError as error:
        return None, {
            str(problem["loc"][0]): str(problem["msg"]).lower() for problem in error.errors()
        }


def _shown(settings: Settings | None, field_name: str, given: str) -> str:
    """A value as text; as in the environment if the settings are invalid."""
    if SecretStr in getattr(Settings.model_fields[field_name].annotation, "__args__", ()):
        return _MASK
    value = given if settings is None else getattr(settings, field_name)
    return ", ".join(value) if isinstance(value, tuple) else str(value)

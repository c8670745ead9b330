"""Reads settings, and knows every name: producers, workers and the gateway can share one `.env`."""

from __future__ import annotations

import os
import re
import warnings
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import ValidationError

from swapjobs.contract.errors import SettingsError
from swapjobs.settings.core import PREFIX, CoreSettings
from swapjobs.settings.gateway import GatewaySettings
from swapjobs.settings.worker import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydantic.fields import FieldInfo

AnySettings = TypeVar("AnySettings", bound=CoreSettings)


def load_settings(settings: type[AnySettings]) -> AnySettings:
    """Read the environment and `.env`.

    Raises:
        SettingsError: a value is wrong, or `.env` holds an unknown SWAPJOBS_ name.
    """
    check_names()
    try:
        return settings()
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise SettingsError("; ".join(_explain(problem["loc"], problem["msg"]) for problem in problems)) from None


def _explain(loc: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(loc[0]).upper()}: {message}" if loc else message


def known_fields() -> dict[str, tuple[FieldInfo, str]]:
    """Return all settings, each with who reads it: `all`, `workers` or `gateway`."""
    fields = {}
    for settings, reader in ((CoreSettings, "all"), (WorkerSettings, "workers"), (GatewaySettings, "gateway")):
        fields.update({name: (field, reader) for name, field in settings.model_fields.items() if name not in fields})
    return fields


# What Kubernetes puts into every pod beside a Service, as of its own environment variables: SWAPJOBS_GATEWAY_PORT for a
# Service swapjobs-gateway. https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_OF_KUBERNETES: Final = re.compile(
    r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|_PORT=\w+://"
)


def known_names() -> frozenset[str]:
    """Return every variable that means something here."""
    return frozenset(PREFIX + name.upper() for name in known_fields())


def check_names() -> None:
    """Warn about unknown SWAPJOBS_ names in the environment.

    Raises:
        SettingsError: `.env` holds one, or a line that is none; there it can only be a mistake.
    """
    known = known_names()
    strange = sorted(name for name in _names_in_file() if name.startswith(PREFIX) and name not in known)
    if strange:
        meant = "".join(_meant(name, known) for name in strange) or f"; known are {', '.join(sorted(known))}"
        raise SettingsError(f".env: unknown setting {', '.join(strange)}{meant}")
    for name, value in sorted(os.environ.items()):  # noqa: TID251 - the one place that reads the environment
        if name.startswith(PREFIX) and name not in known and not _OF_KUBERNETES.search(f"{name}={value}"):
            text = f"unknown setting {name} in the environment is ignored{_meant(name, known)}"
            warnings.warn(text, stacklevel=3)


def _names_in_file() -> Iterable[str]:
    env_file = Path(".env")
    if env_file.is_dir() and not (env_file / "pyvenv.cfg").exists():  # some have their venv there
        raise SettingsError(".env: is a folder, as Docker makes one where it mounts a file that is not there")
    if not env_file.is_file():
        return ()
    try:
        with env_file.open(encoding="utf-8") as lines:
            broken = [item.original for item in parse_stream(lines) if item.error]
        for line in broken:  # of other programs they are not our business
            if PREFIX in line.string:
                blank = line.string.removesuffix(line.string.lstrip()).count("\n")  # those before it belong to it
                raise SettingsError(f".env: line {line.line + blank}: is not NAME=VALUE")
        return dotenv_values(env_file, encoding="utf-8")
    except UnicodeDecodeError:
        raise SettingsError(".env: is not UTF-8") from None


def _meant(name: str, known: Collection[str]) -> str:
    alike = get_close_matches(name.removeprefix(PREFIX), [item.removeprefix(PREFIX) for item in known], n=1, cutoff=0.8)
    return f"; did you mean {PREFIX}{alike[0]}?" if alike else ""

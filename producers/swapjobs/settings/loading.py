"""Reads settings, and knows every name: producers, workers and the gateway can share one `.env`."""

from __future__ import annotations

import logging
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dotenv.parser import parse_stream
from pydantic import ValidationError

from swapjobs.contract.errors import SettingsError
from swapjobs.contract.wrong_values import did_you_mean, what_is_wrong
from swapjobs.settings.core import PREFIX, CoreSettings
from swapjobs.settings.gateway import GatewaySettings
from swapjobs.settings.worker import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pydantic.fields import FieldInfo

AnySettings = TypeVar("AnySettings", bound=CoreSettings)


def load_settings(settings: type[AnySettings], *, besides: Iterable[type[CoreSettings]] = ()) -> AnySettings:
    """Read the environment and `.env`.

    Args:
        settings: What is wanted.
        besides: What others read, and is to be right too.

    Raises:
        SettingsError: a value is wrong, or `.env` holds an unknown SWAPJOBS_ name.
    """
    check_names()
    wrong: list[str] = []
    loaded = _read(settings, wrong)
    for kind in besides:
        _read(kind, wrong)
    if loaded is None or wrong:
        raise SettingsError("; ".join(dict.fromkeys(wrong)))
    return loaded


def _read(settings: type[AnySettings], wrong: list[str]) -> AnySettings | None:
    """Return them, or add what is wrong to the texts of it."""
    dotenv = logging.getLogger("dotenv.main")
    dotenv.addFilter(_say_nothing)
    try:
        return settings()
    except ValidationError as error:
        wrong += [_explain(problem, settings.model_fields) for problem in error.errors(include_url=False)]
        return None
    finally:
        dotenv.removeFilter(_say_nothing)


def _say_nothing(_: logging.LogRecord) -> bool:
    """Keep dotenv from saying of a line, once for each group that is read, what `check_names` has said of it."""
    return False


def _explain(problem: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    if not problem["loc"]:
        return what_is_wrong(problem)
    name = str(problem["loc"][0])
    is_number = fields[name].annotation in {int, float}
    text = _number_wanted(fields[name]) if is_number else what_is_wrong(problem)
    return f"{PREFIX}{name.upper()}: {text}"


def _number_wanted(field: FieldInfo) -> str:
    """Return in words what a number must be, with its default as an example."""
    bounds = {
        word: value
        for mark in field.metadata
        for name, word in (("ge", "at least"), ("gt", "more than"), ("le", "at most"))
        if (value := getattr(mark, name, None)) is not None
    }
    kind = "a whole number" if field.annotation is int else "a number"
    words = " and ".join(f"{word} {value}" for word, value in bounds.items())
    return f"must be {kind}{', ' if words else ''}{words}, like {field.default}"


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
    """Warn about unknown SWAPJOBS_ names in the environment, and about lines of other programs in `.env` that are none.

    Raises:
        SettingsError: `.env` holds one, or a line of ours that is none; there it can only be a mistake.
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
            items = list(parse_stream(lines))
    except UnicodeDecodeError:
        raise SettingsError(".env: is not UTF-8") from None
    for item in items:
        if item.error:
            line = item.original
            blank = line.string.removesuffix(line.string.lstrip()).count("\n")  # those before it belong to it
            text = f".env: line {line.line + blank}: is not NAME=VALUE"
            if PREFIX in line.string:
                raise SettingsError(text)
            warnings.warn(f"{text}, and is ignored", stacklevel=4)  # it may be another program's
    return [item.key for item in items if item.key]


def _meant(name: str, known: Collection[str]) -> str:
    # The common beginning would make all of them alike.
    meant = did_you_mean(name.removeprefix(PREFIX), [item.removeprefix(PREFIX) for item in known], likeness=0.8)
    return meant.replace("mean ", f"mean {PREFIX}")

"""What a tool takes: our names beside the vendor's, checked before anything is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, ConfigDict, model_validator
from pydantic.alias_generators import to_camel

from swapjobs.contract.frozen import Model

if TYPE_CHECKING:
    from collections.abc import Callable

_URL_SCHEMES: Final = ("http://", "https://")


class ToolInput(Model):
    """The base of all inputs: fields under Python names, under the vendor's as aliases.

    Defaults are the vendor's where it documents them, and None where it does not; neither is sent.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=False,
        protected_namespaces=(),
        defer_build=True,  # most processes use two or three of them
    )

    passes_unknown: ClassVar[bool] = False
    """Whether fields that are not known here go to the vendor as they are: its page could not be read to the end."""

    @model_validator(mode="after")
    def _take_nothing_that_cannot_be_sent(self) -> Self:
        _check_json(self.model_extra)
        return self

    def stored(self) -> dict[str, Any]:
        """Return it under our names, as `JobRequest.input` has it."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def body(self) -> dict[str, Any]:
        """Return the vendor's request body, without the caller's id."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @classmethod
    def from_body(cls, body: dict[str, Any]) -> Self:
        """Return what a body of the vendor's says; fields that the vendor does not document are left out.

        Raises:
            pydantic.ValidationError: a field is missing or wrong, named as the vendor names it.
        """
        extra: Literal["allow", "ignore"] = "allow" if cls.passes_unknown else "ignore"
        return cls.model_validate(body, by_alias=True, by_name=False, extra=extra)

    def urls(self) -> list[str]:
        """Return the URLs that the vendor is to fetch."""
        return urls_in(self.stored())

    def urls_by_name(self) -> dict[str, str]:
        """Return those of them that are a field of their own."""
        return {name: value for name, value in self.stored().items() if isinstance(value, str) and is_url(value)}


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


WHOLE_NUMBER: Final = BeforeValidator(_number)
"""For a choice of numbers: as text, as a command line or a spreadsheet has it, it is one too."""


def urls_in(value: Any) -> list[str]:
    """Return the texts in a JSON value that are URLs and nothing else."""
    if isinstance(value, str):
        return [value] if is_url(value) else []
    if isinstance(value, dict):
        value = list(value.values())
    return [url for item in value for url in urls_in(item)] if isinstance(value, list) else []


def with_urls(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with each of those URLs changed."""
    if isinstance(value, str):
        return change(value) if is_url(value) else value
    if isinstance(value, dict):
        return {name: with_urls(item, change) for name, item in value.items()}
    return [with_urls(item, change) for item in value] if isinstance(value, list) else value


def is_url(text: str) -> bool:
    """Whether a text is a URL and nothing else."""
    return text.startswith(_URL_SCHEMES) and " " not in text


def _check_json(extra: dict[str, Any] | None) -> None:
    """Check fields that are passed on as they came; those that are known were checked by their types.

    Raises:
        ValueError: one can't be sent.
    """
    for name, value in (extra or {}).items():
        try:
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, TypeError, RecursionError):
            raise ValueError(f"{name}: cannot be sent as JSON") from None

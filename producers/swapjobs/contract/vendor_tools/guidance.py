"""What people are told of a tool's input, made of its model: an example, and the bounds of each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from swapjobs.contract.vendor_tools.tool import Tool

_NO_LIMIT: Final = 2**31 - 1  # the largest number of 32 bits says nothing to people
_PICTURES: Final = ("https://pictures.example/anna.jpg", "https://pictures.example/party.jpg")


def example_input(tool: Tool) -> dict[str, Any]:
    """Return the smallest input that the tool takes."""
    schema = tool.input.model_json_schema(by_alias=False)
    urls = iter(_PICTURES)
    return {name: _example(schema["properties"][name], urls) for name in schema.get("required", [])}


def bounds_of(tool: Tool, name: str) -> list[str]:
    """Return in words what a field may be: its choices, its range, how many."""
    schema: dict[str, Any] = tool.input.model_json_schema(by_alias=False)["properties"][name]
    texts = []
    for option in schema.get("anyOf", [schema]):
        low, high = option.get("minimum"), option.get("maximum")
        if "enum" in option:
            texts.append("one of " + ", ".join(map(str, option["enum"])))
        elif low is not None and high is not None and high < _NO_LIMIT:
            texts.append(f"{low} to {high}")
        elif low is not None:
            texts.append(f"from {low}")
        if "minItems" in option:
            texts.append(f"{option['minItems']} to {option['maxItems']} of them")
    return texts


def _example(schema: dict[str, Any], urls: Any) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("format") == "uri":
        return next(urls, _PICTURES[0])
    if schema.get("type") == "array":
        return [f"https://pictures.example/{number}.jpg" for number in range(1, schema.get("minItems", 1) + 1)]
    if schema.get("type") in {"integer", "number"}:
        return schema.get("minimum", 1)
    return {"boolean": True, "object": {}}.get(schema.get("type", ""), "text")

"""An example of what each tool takes, made of its input: for the documents, and for tests that try every tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from swapjobs.contract.vendor_tools.tool import Tool

_PICTURES: Final = ("https://pictures.example/anna.jpg", "https://pictures.example/party.jpg")


def example_input(tool: Tool) -> dict[str, Any]:
    """Return the smallest input that the tool takes."""
    schema = tool.input.model_json_schema(by_alias=False)
    urls = iter(_PICTURES)
    return {name: _example(schema["properties"][name], urls) for name in schema.get("required", [])}


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

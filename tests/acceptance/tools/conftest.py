"""The fixture of `support.tools_stage`, for this folder."""

from support.tools_stage import stage  # noqa: F401 - pytest finds fixtures by name

"""What can go wrong with a picture: one exception, a closed set of names."""

from __future__ import annotations

from enum import StrEnum


class FaceErrorName(StrEnum):
    """The stable names; the sandbox server sends them to its callers as they are."""

    SOURCE_NO_FACE = "SOURCE_NO_FACE"
    TARGET_NO_FACE = "TARGET_NO_FACE"
    FACE_TOO_SMALL = "FACE_TOO_SMALL"
    BAD_IMAGE = "BAD_IMAGE"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    UNSUPPORTED_FORMAT = "UNSUPPORTED_FORMAT"


class FaceError(Exception):
    """A picture cannot be used for a swap; trying again with the same bytes gives the same error.

    Attributes:
        name: which of the known problems it is.
        picture: which picture has it: "target", "source", or "source 1" and "source 2" when there are two.
    """

    def __init__(self, name: FaceErrorName, picture: str, reason: str) -> None:
        super().__init__(f"{name}: {picture}: {reason}")
        self.name = name
        self.picture = picture

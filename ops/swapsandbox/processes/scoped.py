"""What is started by `with` and surely stopped after it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Scoped(ABC):
    """Processes that run while a `with` block does."""

    @abstractmethod
    def start(self) -> None:
        """Start; return when what was started is ready."""

    @abstractmethod
    def stop(self) -> object:
        """Stop and wait until what was started is gone."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # a Ctrl-C too: nobody else would stop it
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

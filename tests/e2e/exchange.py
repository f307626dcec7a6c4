"""The simulated exchange that the platform follows: its address on this machine, and how its market is changed."""

import json
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any


class Exchange(ABC):
    """A simulator, a component of the platform or outside of it. ``components`` are its names in the platform."""

    components: tuple[str, ...] = ()

    @abstractmethod
    def url(self) -> str:
        """Return the URL of its REST interface, as this machine reaches it."""

    @abstractmethod
    def change(self, settings: Mapping[str, str]) -> None:
        """Restart it with other ``settings``; returns when it is ready."""

    @abstractmethod
    def change_back(self) -> None:
        """Restart it as it was before the first change; does nothing if it is unchanged."""

    def get(self, path: str) -> Any:
        """Return the answer to a GET of ``path``.

        Raises:
            OSError: it does not answer, or answers with an error.
        """
        with urllib.request.urlopen(f"{self.url()}{path}", timeout=60) as answer:
            return json.load(answer)

"""Which texts can be a symbol of the exchange."""

import re

# The rule that the exchange's error -1100 states: [\w\-._&&[^a-z]]{1,50}.
SYMBOL_RULE = "at most 50 letters (none of them small), digits, _, - and ."
_SYMBOL = re.compile(r"[\w.-]{1,50}")


def is_symbol(text: str) -> bool:
    """Whether ``text`` can be a symbol. Letters of any script count; ``.`` and ``..`` have none and are refused."""
    return (
        _SYMBOL.fullmatch(text) is not None and text.upper() == text and any(character.isalnum() for character in text)
    )

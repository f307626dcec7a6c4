"""Which texts can be a symbol of the exchange. Pure."""

import re

MAX_SYMBOL_LENGTH = 50
SYMBOL_RULE = f"at most {MAX_SYMBOL_LENGTH} letters (none of them small), digits, _, - and ."

# The rule that the exchange's error -1100 states: [\w\-._&&[^a-z]]{1,50}. Letters of any script count:
# symbols with Chinese characters are listed.
_SYMBOL = re.compile(rf"[\w.-]{{1,{MAX_SYMBOL_LENGTH}}}")


def is_symbol(text: str) -> bool:
    """Whether ``text`` can be a symbol: capital letters, letters without case, digits, ``_``, ``-`` and ``.``.

    Symbols name folders of the object store too: ``.`` and ``..``, which have neither letter nor digit, are none.
    """
    return (
        _SYMBOL.fullmatch(text) is not None and text.upper() == text and any(character.isalnum() for character in text)
    )

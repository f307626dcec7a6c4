"""Validate the exchange's symbols."""

import re

MAX_SYMBOL_LENGTH = 50
SYMBOL_RULE = f"at most {MAX_SYMBOL_LENGTH} letters (no lower-case ones), digits, _, - and ."

# The exchange's error -1100 states the rule [\w\-._&&[^a-z]]{1,50}. Letters of any script are valid: the exchange lists
# symbols with Chinese characters.
_SYMBOL = re.compile(rf"[\w.-]{{1,{MAX_SYMBOL_LENGTH}}}")


def is_symbol(text: str) -> bool:
    """Whether ``text`` can be a symbol: upper-case letters, letters without case, digits, ``_``, ``-`` and ``.``.

    At least one letter or digit is required, because symbols are also folder names in the object store, where ``.`` and
    ``..`` have another meaning.
    """
    return (
        _SYMBOL.fullmatch(text) is not None and text.upper() == text and any(character.isalnum() for character in text)
    )

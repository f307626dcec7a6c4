"""The publisher: each changed candle as a message of the topic ``crypto.candles.1m``."""

"""The pure core: exact numbers, minutes, trades, candles and id ranges. No I/O, no clock, no settings."""

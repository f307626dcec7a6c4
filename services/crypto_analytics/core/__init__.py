"""The pure core: exact decimals, minutes, trades, candles and id ranges. No I/O, no clock, no settings."""

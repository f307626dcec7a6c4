"""The dashboard of the market: the values behind the market alerts."""

from ops.dev.grafana.panels import Dashboard, Panel, Query, Row

_API = 'job="api"'

_MARKET = Row(
    "The market",
    (
        Panel(
            "Last price",
            "Price of the newest trade, by symbol.",
            (Query(f"max by (symbol) (market_last_price{{{_API}}})", "{{symbol}}"),),
        ),
        Panel(
            "Move within five minutes",
            "Change of the price against that of five minutes before; an alert fires at 2 % up or down.",
            (Query(f"market_last_price{{{_API}}} / market_last_price{{{_API}}} offset 5m - 1", "{{symbol}}"),),
            unit="percentunit",
            often_empty="Prometheus has run for less than five minutes",
        ),
        Panel(
            "Volume of the last minute",
            "Volume of the last closed minute in the quote asset, by symbol.",
            (Query(f"max by (symbol) (market_quote_volume_1m{{{_API}}})", "{{symbol}}"),),
        ),
        Panel(
            "Volume against its mean",
            "Volume of the last minute divided by its mean of an hour; an alert fires at 5.",
            (
                Query(
                    f"market_quote_volume_1m{{{_API}}} / avg_over_time(market_quote_volume_1m{{{_API}}}[1h])",
                    "{{symbol}}",
                ),
            ),
        ),
        Panel(
            "Largest trade of the last minute",
            "In the quote asset, by symbol; an alert fires at one million.",
            (Query(f"max by (symbol) (market_largest_trade_quote{{{_API}}})", "{{symbol}}"),),
        ),
        Panel(
            "Trades a minute",
            "Trades of the last closed minute, by symbol.",
            (Query(f"max by (symbol) (market_trade_count_1m{{{_API}}})", "{{symbol}}"),),
        ),
        Panel(
            "Age of the newest trade",
            "Time since the newest trade, by symbol; an alert fires after three minutes of silence.",
            (Query(f"max by (symbol) (newest_trade_age_seconds{{{_API}}})", "{{symbol}}"),),
            unit="s",
        ),
    ),
)

DASHBOARD = Dashboard(
    "market",
    "Crypto analytics: market",
    "Shows what the market alerts look at, per symbol. Prices are floating-point numbers here, for the eye only.",
    (_MARKET,),
)

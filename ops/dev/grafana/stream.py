"""The dashboard of the stream: from the exchange to the candles and their readers."""

from ops.dev.grafana.panels import Dashboard, Limit, Panel, Query, Row

_SPARK = "only where Spark makes the candles"
_MERGERS = 'job=~"consumer|spark-candles"'

_NOW = Row(
    "Now",
    (
        Panel(
            "Symbols that do not stream",
            "Symbols that the exchange lists and that are not connected, or not caught up with it.",
            (
                Query(
                    'count(trade_ids_missing{job="producer"}) - sum(symbols_live{job="producer"})'
                    ' - (count(symbols_not_trading{job="producer", status="UNKNOWN"}) or vector(0))'
                ),
            ),
            limit=Limit(1, "stream-not-live"),
            shape="number",
        ),
        Panel(
            "Newest trade",
            "Age of the newest trade that is in a candle, of the symbol where it is oldest.",
            (Query('max(newest_trade_age_seconds{job="api"})'),),
            unit="s",
            limit=Limit(180, "consumer-lag"),
            shape="number",
        ),
        Panel(
            "Complete minutes of today",
            "Share of today's closed minutes whose trades are all known.",
            (Query('sum(candles_today_complete{job="api"}) / sum(candles_today{job="api"})'),),
            unit="percentunit",
            shape="number",
        ),
        Panel(
            "Open gaps",
            "Runs of trade ids that are missing between merged ones.",
            (Query('sum(gaps_open{job="api"})'),),
            limit=Limit(1, "gaps-open"),
            shape="number",
        ),
        Panel(
            "Components that do not answer",
            "Processes whose metrics could not be collected.",
            (Query("count(up == 0) or vector(0)"),),
            limit=Limit(1, "target-down"),
            shape="number",
        ),
        Panel(
            "Alerts that fire",
            "All but the watchdog; Alertmanager lists them.",
            (Query('count(ALERTS{alertstate="firing", severity!="none"}) or vector(0)'),),
            limit=Limit(1),
            shape="number",
        ),
    ),
)

_EXCHANGE = Row(
    "From the exchange to Kafka",
    (
        Panel(
            "Trades per second",
            "Trades written to Kafka: from the stream, and from REST where a gap was filled.",
            (Query('sum by (source) (rate(trades_produced_total{job="producer"}[1m]))', "{{source}}"),),
            unit="ops",
        ),
        Panel(
            "From the trade to Kafka",
            "Time from the trade to Kafka's acknowledgement: of half of the trades, and of all but one percent.",
            tuple(
                Query(
                    f"histogram_quantile({share}, sum by (le) "
                    '(rate(trade_to_kafka_seconds_bucket{job="producer"}[1m])))',
                    legend,
                )
                for share, legend in ((0.5, "half"), (0.99, "99 %"))
            ),
            unit="s",
        ),
        Panel(
            "Missing trades",
            "Trade ids in open gaps, by symbol. A gap is usually filled within seconds.",
            (Query('sum by (symbol) (trade_ids_missing{job="producer"})', "{{symbol}}"),),
            limit=Limit(1, "gaps-open"),
        ),
        Panel(
            "Age of open gaps",
            "Time since the symbol last had no open gap.",
            (Query('max by (symbol) (gap_open_seconds{job="producer"})', "{{symbol}}"),),
            unit="s",
            limit=Limit(300, "gaps-open"),
        ),
        Panel(
            "Reconnections",
            "Stream connections that were opened anew, by cause; one a day is the exchange's rule.",
            (Query('sum by (cause) (increase(stream_reconnects_total{job="producer"}[10m]))', "{{cause}}"),),
            often_empty="no reconnection since the producer started",
        ),
        Panel(
            "REST weight",
            "Request weight used in the current minute; the exchange allows 6000.",
            (Query('max(rest_weight_used{job="producer"})'),),
            limit=Limit(5500, "stream-not-live"),
        ),
    ),
)

_CANDLES = Row(
    "From Kafka to the candles",
    (
        Panel(
            "Merged per second",
            "Trades merged into candles, and records dropped because their trades were merged before.",
            (
                Query(f"sum by (job) (rate(trades_merged_total{{{_MERGERS}}}[1m]))", "{{job}}: merged"),
                Query(f"sum by (job) (rate(trades_deduplicated_total{{{_MERGERS}}}[1m]))", "{{job}}: dropped"),
            ),
            unit="ops",
        ),
        Panel(
            "Lag in trades",
            "Records in Kafka that are not merged yet.",
            (Query(f"sum by (job) (consumer_lag_trades{{{_MERGERS}}})", "{{job}}"),),
        ),
        Panel(
            "Lag in seconds",
            "Age of the oldest trade that is not merged yet; 0 if none waits.",
            (Query(f"max by (job) (consumer_lag_seconds{{{_MERGERS}}})", "{{job}}"),),
            unit="s",
            limit=Limit(60, "consumer-lag"),
        ),
        Panel(
            "From the trade to the candle",
            "Time from a batch's oldest trade to its visible candle: half of the batches, and all but one percent.",
            tuple(
                Query(
                    f"histogram_quantile({share}, sum by (le) "
                    f"(rate(trade_to_visible_seconds_bucket{{{_MERGERS}}}[1m])))",
                    legend,
                )
                for share, legend in ((0.5, "half"), (0.99, "99 %"))
            ),
            unit="s",
        ),
        Panel(
            "Duration of a merge",
            "Mean time from the start of a batch's merge to its commit; 0.1 to 0.3 s is usual.",
            (
                Query(
                    f"sum by (job) (rate(batch_duration_seconds_sum{{{_MERGERS}}}[1m])) "
                    f"/ sum by (job) (rate(batch_duration_seconds_count{{{_MERGERS}}}[1m]))",
                    "{{job}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Retries",
            "Batches that were tried again after an error of PostgreSQL or the object store.",
            (Query(f"sum by (job) (increase(batch_retries_total{{{_MERGERS}}}[5m]))", "{{job}}"),),
            limit=Limit(1, "store-away"),
        ),
        Panel(
            "Dead letters",
            "Records that are not valid trades, by reason.",
            (Query("sum by (job, reason) (increase(dead_letters_total[10m]))", "{{job}}: {{reason}}"),),
            limit=Limit(1, "dead-letters"),
            often_empty="no dead letter since the services started",
        ),
        Panel(
            "Spark's rates",
            "Records per second that arrived before Spark's last micro-batch, and that it processed.",
            (
                Query('max(spark_input_rows_per_second{job="spark-candles"})', "arrived"),
                Query('max(spark_processed_rows_per_second{job="spark-candles"})', "processed"),
            ),
            unit="ops",
            often_empty=_SPARK,
        ),
    ),
)

_READERS = Row(
    "Readers",
    (
        Panel(
            "Requests to the read API",
            "Requests per second, by endpoint.",
            (Query('sum by (endpoint) (rate(api_requests_total{job="api"}[1m]))', "{{endpoint}}"),),
            unit="reqps",
        ),
        Panel(
            "Errors of the read API",
            "Share of its answers that are errors of its own (5xx).",
            (
                Query(
                    '(sum(rate(api_requests_total{job="api", status=~"5.."}[5m])) or vector(0)) '
                    '/ (sum(rate(api_requests_total{job="api"}[5m])) > 0 or vector(1))'
                ),
            ),
            unit="percentunit",
            limit=Limit(0.01, "api-late"),
        ),
        Panel(
            "Slowest answers",
            "Time within which all but one percent of the requests are answered, by endpoint.",
            (
                Query(
                    "histogram_quantile(0.99, sum by (endpoint, le) "
                    '(rate(api_request_seconds_bucket{job="api", endpoint!="/metrics"}[5m])))',
                    "{{endpoint}}",
                ),
            ),
            unit="s",
            limit=Limit(1, "api-late"),
        ),
        Panel(
            "Candles published",
            "Changed candles per second that Kafka acknowledged in the topic crypto.candles.1m.",
            (Query('sum(rate(candles_published_total{job="publisher"}[1m]))'),),
            unit="ops",
        ),
        Panel(
            "The topic's delay",
            "Age of the oldest change that is not in the topic yet; 0 if none waits.",
            (Query('max(candle_publish_lag_seconds{job="publisher"})'),),
            unit="s",
            limit=Limit(60, "publisher-behind"),
        ),
    ),
)

DASHBOARD = Dashboard(
    "stream",
    "Crypto analytics: stream",
    "Follows the trades from the exchange through Kafka into the candles, and to the programs that read them.",
    (_NOW, _EXCHANGE, _CANDLES, _READERS),
)

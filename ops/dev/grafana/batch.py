"""The dashboard of the batch and of the data's quality."""

from ops.dev.grafana.panels import Dashboard, Limit, Panel, Query, Row

_NEVER = "no run yet: Airflow starts the first one within five minutes"

_BATCH = Row(
    "The batch",
    (
        Panel(
            "Since the last success",
            "Time since a run of the batch succeeded; with Airflow it should every five minutes.",
            (Query('time() - max(batch_last_success_timestamp_seconds{job="api"})'),),
            unit="s",
            limit=Limit(1200, "batch-failed"),
            shape="number",
            often_empty=_NEVER,
        ),
        Panel(
            "Quality gate",
            "1: the newest run accepted silver; 0: it rejected it, and gold keeps its last good state.",
            (Query('max(gate_last_run_succeeded{job="api"})'),),
            limit=Limit(1, "gate-failed", below=True),
            shape="number",
            often_empty=_NEVER,
        ),
        Panel(
            "Since the last gate",
            "Time since the quality gate's newest run.",
            (Query('time() - max(gate_last_run_timestamp_seconds{job="api"})'),),
            unit="s",
            limit=Limit(1200, "batch-failed"),
            shape="number",
            often_empty=_NEVER,
        ),
        Panel(
            "Age of the batch over time",
            "A saw with teeth of five minutes is right; a tooth that grows is a failed or late run.",
            (Query('time() - max(batch_last_success_timestamp_seconds{job="api"})', "since the last success"),),
            unit="s",
            limit=Limit(1200, "batch-failed"),
            often_empty=_NEVER,
        ),
    ),
)

_QUALITY = Row(
    "Quality of the candles",
    (
        Panel(
            "Complete minutes of today",
            "Share of today's closed minutes whose trades are all known, by symbol.",
            (
                Query(
                    'sum by (symbol) (candles_today_complete{job="api"}) / sum by (symbol) (candles_today{job="api"})',
                    "{{symbol}}",
                ),
            ),
            unit="percentunit",
        ),
        Panel(
            "Minutes of today",
            "Today's closed minutes that have a candle, by symbol.",
            (Query('sum by (symbol) (candles_today{job="api"})', "{{symbol}}"),),
        ),
        Panel(
            "Open gaps",
            "Runs of trade ids that are missing between merged ones, by symbol.",
            (Query('sum by (symbol) (gaps_open{job="api"})', "{{symbol}}"),),
            limit=Limit(1, "gaps-open"),
        ),
        Panel(
            "Against the official klines",
            "Complete candles that equal, or differ from, the exchange's official kline; and klines without one.",
            (Query('sum by (result) (reconciliation_candles{job="api"})', "{{result}}"),),
            often_empty=_NEVER,
        ),
        Panel(
            "Different from the official klines",
            "Complete candles that are not equal to the exchange's official kline: each one needs a person.",
            (Query('sum(reconciliation_candles{job="api", result="different"})'),),
            limit=Limit(1, "official-klines-differ"),
            shape="number",
            often_empty=_NEVER,
        ),
        Panel(
            "Since a candle changed",
            "Time since any candle changed; seconds while trades arrive.",
            (Query('time() - max(newest_candle_change_timestamp_seconds{job="api"})'),),
            unit="s",
            limit=Limit(180, "consumer-lag"),
        ),
    ),
)

DASHBOARD = Dashboard(
    "batch",
    "Crypto analytics: batch and quality",
    "Shows whether the batch runs, what the quality gate decided, and how complete and right the candles are.",
    (_BATCH, _QUALITY),
)

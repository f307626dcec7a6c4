"""The quality gate between silver and gold: Great Expectations over analytics.silver_klines_1m.

``python -m ge`` runs it. ``suite`` says what is expected, ``gate`` judges, ``verdict`` tells the result in words,
``data_docs`` publishes the pages that show it, and ``history`` writes it to the table quality_gate_runs.
"""

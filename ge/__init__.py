"""The quality gate between silver and gold: Great Expectations over analytics.silver_klines_1m.

``python -m ge`` runs it. ``suite`` defines the expectations, ``gate`` validates silver, ``failures`` describes failed
expectations, ``data_docs`` publishes the result's pages, ``offline_pages`` lets them load nothing from public servers,
and ``run_records`` writes the table quality_gate_runs.
"""

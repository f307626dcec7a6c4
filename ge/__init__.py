"""The quality gate between silver and gold: Great Expectations over analytics.silver_klines_1m.

``python -m ge`` runs it. ``suite`` says what is expected, ``gate`` runs it, ``data_docs`` keeps the results and
``verdict`` tells them.
"""

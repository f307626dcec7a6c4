"""Benchmarks: honest comparisons in one run on one machine. ``make bench`` runs them and prints the tables."""

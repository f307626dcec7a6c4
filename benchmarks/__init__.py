"""Benchmarks that compare programs in one run on one machine. ``make bench`` runs them and prints the tables."""

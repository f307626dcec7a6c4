"""The compared programs: each module reads BENCH_COUNT trades from one topic, in its own process.

Each prints one line of JSON: the seconds from the first record read to the last one processed, and the trades counted.
"""

"""What is compared: each module reads BENCH_COUNT trades from one topic in a process of its own.

Each prints one line of JSON: the seconds from the first record seen to the last one done, and the trades counted.
"""

"""What the consumer and its Spark variant share: decoding, merging, commits, backlog and lag of the trades topic."""

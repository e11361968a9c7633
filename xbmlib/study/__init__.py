"""Which runs make up a figure; run or load; tidy frames out."""

"""One run: its experiment, the trainer, the store that keeps what it measured."""

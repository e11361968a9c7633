"""One run: its experiment, the trainer, the store that keeps what it measured."""

from xbmlib.extras import require

for _module in ("pandas", "pydantic", "filelock", "tqdm"):
    require(_module, extra="study")

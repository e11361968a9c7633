"""One run: its experiment, the trainer and its callbacks, the store of finished runs."""

from xbmlib.extras import require

for _module in ("pandas", "pydantic", "filelock", "tqdm"):
    require(_module, extra="study")

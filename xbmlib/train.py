"""``python -m xbmlib.train experiment.json``: see :mod:`xbmlib.training.run`."""

from xbmlib.extras import command_needs

with command_needs("study"):
    from xbmlib.training.run import main

if __name__ == "__main__":
    main()

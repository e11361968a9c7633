"""Runs the examples of the docstrings."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "xbmlib").rglob("*.py"))
    if ">>> " in path.read_text("utf-8")
]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_give_what_they_show(module):
    """Oracle: the output that stands in the docstring."""
    found = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0


def public():
    """What xbmlib, its losses and its recall export, and every class of the ground floor."""
    found = set()
    for name in ("xbmlib", "xbmlib.losses", "xbmlib.recall"):
        module = importlib.import_module(name)
        found |= {getattr(module, name) for name in module.__all__}
    for name in ("queue", "sampler", "xbm", "drift", "backbones.embedder"):
        module = importlib.import_module(f"xbmlib.{name}")
        classes = {x for x in vars(module).values() if isinstance(x, type)}
        found |= {x for x in classes if x.__module__ == module.__name__}
    # A version is a string, and a protocol has nothing to run.
    return sorted(
        (x for x in found if callable(x) and not getattr(x, "_is_protocol", False)), key=repr
    )


@pytest.mark.parametrize("found", public(), ids=lambda found: found.__name__)
def test_each_public_name_has_an_example(found):
    """Oracle: doctest's own parser: an example with output, in a module that is run above."""
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(found))
    assert any(example.want for example in examples)
    assert found.__module__ in WITH_EXAMPLES

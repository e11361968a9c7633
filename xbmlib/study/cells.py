"""The names that the cells of a running notebook assign, read from the kernel's own history.

A notebook's globals do not show them all: the imports that follow the parameters overwrite a
parameter of the name of a module, and names that start with "_" or that the kernel defines cannot
be distinguished from its own.
"""

from __future__ import annotations

import ast
import keyword
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

# In the cell that takes the parameters; what is assigned before it was meant as one.
TAKES = ".of(globals())"
# A name and a value on a line of their own.
ASSIGNED = re.compile(r"^(\w+) *=(?!=) *(.+?) *(?:#.*)?$", re.MULTILINE)


def parameters_of_cells(namespace: Mapping[str, Any]) -> dict[str, Any] | None:
    """The names that the cells so far assign as parameters, with their values.

    Args:
        namespace: the notebook's ``globals()``.

    Returns:
        Name to value; None where ``namespace`` is not that of a running kernel.
    """
    # Every kernel has imported it; `get_ipython` is a name that a parameter may have replaced.
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    if shell is None or namespace is not shell.user_ns:
        return None
    # Not `In`, for the same reason.
    return assigned(shell.history_manager.input_hist_parsed, namespace)


def assigned(cells: Iterable[str], namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The names that cells assign as parameters, with the values last assigned.

    These are all names that a cell before the first with ``TAKES`` assigns, and those of later
    cells that hold nothing but literals: the parameters, edited and executed again.

    Args:
        cells: sources in the order of their execution.
        namespace: for the values that are no literals.
    """
    found: dict[str, Any] = {}
    first = True
    for cell in cells:
        if TAKES in cell:
            first = False
            continue
        try:
            statements = ast.parse(cell).body
        except SyntaxError:  # the cell has failed
            found |= _keywords(cell)
            continue
        values = [pair for statement in statements for pair in _assignments(statement)]
        literals = all(
            isinstance(s, ast.Assign | ast.AnnAssign) and _literal(s.value) for s in statements
        )
        if first or literals:
            found |= {
                name: ast.literal_eval(value) if _literal(value) else namespace.get(name)
                for name, value in values
            }
    return found


def _assignments(statement: ast.stmt) -> list[tuple[str, ast.expr]]:
    """The plain names that a statement assigns, and its value: the same for all names of it."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or (value := statement.value) is None:
        return []
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    names = [node for target in targets for node in ast.walk(target)]
    return [
        (node.id, value)
        for node in names
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


def _keywords(cell: str) -> dict[str, Any]:
    """Python's keywords that a cell assigns, as ``class = 1``, which no parameter can be named."""
    found = {}
    for name, value in ASSIGNED.findall(cell):
        if keyword.iskeyword(name):
            with suppress(ValueError, SyntaxError):
                found[name] = ast.literal_eval(value)
    return found


def _literal(value: ast.expr | None) -> bool:
    if value is None:
        return False
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, MemoryError, RecursionError):
        return False
    return True

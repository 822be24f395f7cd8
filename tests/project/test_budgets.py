"""Files and functions stay short enough to read."""

import ast

import pytest

from tests.project import tree

FILE_LINES = 300
FUNCTION_LINES = 40
PLUGIN_LINES = 120


def lengths(path):
    """Yield each function's name and length in lines, its docstring and decorators left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            docstring = first.end_lineno - first.lineno + 1 if documented else 0
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


def budget(path):
    """Return how many lines a file may have."""
    is_plugin = path.parent == tree.ROOT / "penguin-agent/plugins"
    return PLUGIN_LINES if is_plugin else FILE_LINES


def test_files_are_short():
    long = {
        tree.name(path): lines
        for path in (*tree.python_files(), *tree.shell_files())
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > budget(path)
    }
    assert long == {}


def test_functions_are_short():
    long = {
        f"{tree.name(path)}:{name}": lines
        for path in tree.python_files()
        for name, lines in lengths(path)
        if lines > FUNCTION_LINES
    }
    assert long == {}


def test_a_function_of_41_lines_is_found(tmp_path):
    path = tmp_path / "long.py"
    path.write_text("def long():\n" + "    pass\n" * 40)
    assert list(lengths(path)) == [("long", 41)]


@pytest.mark.parametrize("path", tree.product_files(), ids=tree.name)
def test_file_says_its_purpose(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith(".")

"""The project's own lints: things that no public linter knows to be dangerous here.

Each rule is a function from a syntax node to a complaint or None; `complaints` runs the rules that
a file's place asks for.
"""

import ast
import pathlib
from collections.abc import Callable, Iterator

from tests.project import tree

LEVELS = {"debug", "info", "notice", "warning", "warn", "error", "exception", "critical"}
LOGGERS = {"log", "_log", "LOG", "logger", "LOGGER"}
RANDOM_FOR_SECRETS = (
    "token",
    "certs",
    "invitation",
    "identity",
    "enroll",
    "possession",
    "envelope",
)
# Options of gpg, and of python-gnupg.
TEXT_SIGNATURES = {"--textmode", "--text-mode", "--clear-sign", "--clearsign", "sign_file"}
SINK = tree.ROOT / "penguinctl"
PLUGINS = tree.ROOT / "penguin-agent/plugins"
Rule = Callable[[ast.AST], str | None]


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for a name or attribute, else the empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return ""


def called(node: ast.AST) -> str:
    """Return the dotted name of what a call calls."""
    return dotted(node.func) if isinstance(node, ast.Call) else ""


def imported(node: ast.AST) -> list[str]:
    """Return the names of modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def pickles(node: ast.AST) -> str | None:
    """Refuse formats that run code when read."""
    found = {"pickle", "marshal", "shelve", "dill"} & set(imported(node))
    return f"{found.pop()} runs code when it reads" if found else None


def extracts(node: ast.AST) -> str | None:
    """Refuse tarfile's and zipfile's extraction, which follows names in the archive."""
    last = called(node).rpartition(".")[2]
    return "extraction follows the archive's names" if last in {"extractall", "extract"} else None


def loads_yaml(node: ast.AST) -> str | None:
    """Refuse YAML loaders other than a safe one."""
    name = called(node)
    if name in {"yaml.unsafe_load", "yaml.full_load"}:
        return "use yaml.safe_load"
    if name == "yaml.load":
        loaders = [dotted(word.value) for word in node.keywords if word.arg == "Loader"]
        loaders += [dotted(word) for word in node.args[1:]]
        safe = any("Safe" in loader or "Strict" in loader for loader in loaders)
        return None if safe else "use yaml.safe_load or a loader derived from it"
    return None


def uses_shell(node: ast.AST) -> str | None:
    """Refuse command lines."""
    if called(node) in {"os.system", "os.popen", "subprocess.getoutput"}:
        return "run a list of words"
    if called(node).endswith("create_subprocess_shell"):
        return "run a list of words"
    words = node.keywords if isinstance(node, ast.Call) else []
    ours = "subprocess" not in called(node)
    shell = [word for word in words if word.arg == "shell" and not (ours and is_value(word))]
    return "run a list of words, without a shell" if shell else None


def is_value(word: ast.keyword) -> bool:
    """Tell whether a keyword is given something else than a plain True."""
    return not (isinstance(word.value, ast.Constant) and word.value.value is True)


def signs_file(node: ast.AST) -> str | None:
    """Refuse gpg.sign_file, which signs a path's name when given bytes of the wrong kind."""
    return "sign bytes with gpg.sign" if called(node).endswith(".sign_file") else None


def signs_text(node: ast.AST) -> str | None:
    """Refuse OpenPGP signatures on text, or around it: only a detached one is over exact bytes."""
    if isinstance(node, ast.Constant):
        return "sign bytes, detached" if node.value in TEXT_SIGNATURES else None
    if called(node).rpartition(".")[0].rpartition(".")[2] != "gpg" or not called(node).endswith(
        ".sign"
    ):
        return None
    words = {word.arg: word.value for word in node.keywords} if isinstance(node, ast.Call) else {}
    said = {name: getattr(words.get(name), "value", None) for name in ("detach", "clearsign")}
    return None if said == {"detach": True, "clearsign": False} else "sign bytes, detached"


def formats_log(node: ast.AST) -> str | None:
    """Refuse log messages that are not constants: data in them would be read as placeholders."""
    owner, _, level = called(node).rpartition(".")
    if owner.rpartition(".")[2] not in LOGGERS or level not in LEVELS:
        return None
    message = node.args[0] if node.args else None
    constant = isinstance(message, ast.Constant) and isinstance(message.value, str)
    return None if constant else "a log message is a constant with {} placeholders"


def counts_placeholders(node: ast.AST) -> str | None:
    """Refuse log calls whose placeholders and values differ in number: the record would be lost."""
    if formats_log(node) is not None or not isinstance(node, ast.Call):
        return None
    owner, _, level = called(node).rpartition(".")
    if owner.rpartition(".")[2] not in LOGGERS or level not in LEVELS:
        return None
    if any(isinstance(word, ast.Starred) for word in node.args):
        return None
    wanted = str(node.args[0].value).replace("{{", "").count("{")
    named = [word for word in node.keywords if word.arg not in {"exc_info", "extra"}]
    given = len(node.args) - 1 + len(named)
    return None if wanted == given else f"{wanted} placeholders for {given} values"


def prints(node: ast.AST) -> str | None:
    """Refuse output that does not pass the escaping sink."""
    name = called(node)
    return "write through penguinctl's ui" if name in {"print", "click.echo", "echo"} else None


def guesses(node: ast.AST) -> str | None:
    """Refuse the predictable generator where secrets are made."""
    return "use secrets" if "random" in imported(node) else None


def cancels(node: ast.AST) -> str | None:
    """Refuse Task.cancel in services: grpc.aio leaves a cancelled handler's stream hanging."""
    return "abort the context instead" if called(node).endswith(".cancel") else None


def reads_clock(node: ast.AST) -> str | None:
    """Refuse the wall clock: time is given, so that rules can be tested at any."""
    clocks = {"datetime.now", "datetime.utcnow", "datetime.datetime.now", "time.time", "date.today"}
    return "take the time from penguindome.times" if called(node) in clocks else None


def loses_task(node: ast.AST) -> str | None:
    """Refuse tasks outside a task group: nobody awaits them."""
    loose = {"asyncio.create_task", "asyncio.ensure_future", "loop.create_task"}
    return "start it in the task group" if called(node) in loose else None


EVERYWHERE: tuple[Rule, ...] = (
    pickles,
    extracts,
    loads_yaml,
    uses_shell,
    signs_file,
    signs_text,
    formats_log,
    counts_placeholders,
)


def rules(path: pathlib.Path) -> tuple[Rule, ...]:
    """Return the rules for a file by its place."""
    more: list[Rule] = []
    if path.is_relative_to(SINK) and path.name != "ui.py":
        more.append(prints)
    if any(word in path.stem for word in RANDOM_FOR_SECRETS):
        more.append(guesses)
    if path.is_relative_to(tree.ROOT / "penguind/services"):
        more.append(cancels)
    if path.name != "times.py" and not path.is_relative_to(PLUGINS):
        more += [reads_clock, loses_task]
    return (*EVERYWHERE, *more)


def complaints(path: pathlib.Path, source: str) -> Iterator[str]:
    """Yield a line for each breach in a file."""
    for node in ast.walk(ast.parse(source)):
        for rule in rules(path):
            if (complaint := rule(node)) is not None:
                yield f"{tree.name(path)}:{node.lineno}: {complaint}"

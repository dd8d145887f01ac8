"""A YAML document whose nodes know their lines, and whose faults are told in plain words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedBase, CommentedMap, CommentedSeq
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarstring import ScalarString

from streams.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["line_of", "plain_content", "read_document"]

#: Words of the parser, and what they mean for people; tried in this order.
_FAULTS: Final[Mapping[str, str]] = {
    r"found duplicate key (.+)": r"the key \1 stands here twice; keep one",
    r"mapping values are not allowed": "there is a second colon in the line, or the line is "
    "indented too far; put text that holds a colon in quotes, and let keys of one level begin in "
    "one column",
    r"could not find expected ':'": "the line above has no colon; write `key: value`, with a blank "
    "after the colon",
    r"found character '\\t'": "the line is indented with a tab; use blanks",
    r"found character ('.').*cannot start": r"a text cannot begin with \1; put it in quotes",
    r"found unexpected end of stream": "the quotes that begin here are not closed; close them",
    r"expected ',' or '\]'": "a list is not closed, or lacks a comma; write [a, b]",
    r"expected ',' or '\}'": "braces are not closed, or lack a comma; write {a: 1, b: 2}",
    r"expected <block end>": "the line is indented otherwise than those above; let keys of one "
    "level begin in one column",
    r"did not find expected": "brackets, quotes or the indentation do not fit; check this line",
    r"found unknown escape character": "a backslash in double quotes; use single quotes",
    r"could not determine a constructor": "a text cannot begin with !; put it in quotes",
    r"found undefined alias|expected alphabetic or numeric character": "a text cannot begin with * "
    "or &; put it in quotes",
}
#: Punctuation of Chinese and of word processors that YAML takes for text.
_FULL_WIDTH: Final = {
    "，": ",", "、": ",", "：": ":", "；": ",", "“": '"', "”": '"', "‘": "'", "’": "'",
    "［": "[", "］": "]", "｛": "{", "｝": "}", "【": "[", "】": "]", "\u3000": "a blank",
}  # fmt: skip


class _Constructor(RoundTripConstructor):
    """Names the line of a value that cannot be made, such as 2024-02-30."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - theirs
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError, ArithmeticError):
            if "timestamp" in str(node.tag):
                text = f"{node.value} is not in the calendar; correct it, or put text in quotes"
            else:
                text = f"{str(node.value)[:40]} cannot be read as a number; put text in quotes"
            raise ConstructorError(None, None, text, node.start_mark) from None


def read_document(path: Path) -> CommentedMap:
    """Read a YAML file that holds keys.

    Raises
    ------
    ConfigError
        The file cannot be read or is no YAML: ``file:line: problem and remedy``.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}. Name the file with --config or FENGHUO_CONFIG."
        ) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.Constructor = _Constructor
    try:
        document = yaml.load(text)
    except MarkedYAMLError as error:
        raise ConfigError(_marked(error, path, text)) from None
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ConfigError(
            f"{path}:{line}: not valid YAML: a control character; remove it"
        ) from None
    except (YAMLError, RecursionError):
        raise ConfigError(f"{path}:1: not valid YAML: check brackets and indentation") from None
    if not isinstance(document, CommentedMap):
        raise ConfigError(f"{path}:1: the file must hold keys such as name, signals and rules")
    return document


def _marked(error: MarkedYAMLError, path: Path, text: str) -> str:
    problem = str(error.problem).partition(" with value ")[0]
    mark = error.problem_mark or error.context_mark
    if "end of stream" in problem and error.context_mark:
        mark = error.context_mark
    line = mark.line + 1 if mark else 1
    if isinstance(error, ConstructorError) and "; " in problem:
        return f"{path}:{line}: {problem}"
    said = "check colons, indentation, quotes and brackets"
    for pattern, plain in _FAULTS.items():
        if found := re.search(pattern, problem):
            said = found.expand(plain)
            break
    lines = text.splitlines()
    here = "".join(lines[max(0, line - 2) : line])
    for sign, ascii_sign in _FULL_WIDTH.items():
        if sign in here:
            said += f". The full-width {sign} is text to YAML: write {ascii_sign}"
            break
    return f"{path}:{line}: not valid YAML: {said}"


def plain_content(node: Any) -> Any:
    """Return plain dictionaries, lists and values; keys become text."""
    if isinstance(node, CommentedMap):
        return {str(key): plain_content(value) for key, value in node.items()}
    if isinstance(node, list | tuple | set):
        return [plain_content(value) for value in node]
    return str(node) if isinstance(node, ScalarString) else node


def line_of(document: CommentedMap, loc: Sequence[str | int]) -> int:
    """Return the line of the deepest node on the way to `loc` that the file really has."""
    node: Any = document
    line = 1
    for part in loc:
        key = (
            next((one for one in node if str(one) == part), None)
            if isinstance(node, CommentedMap)
            else None
        )
        if isinstance(node, CommentedMap) and key is not None:
            line = _key_line(node, key, line)
            node = node[key]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            line = node.lc.item(part)[0] + 1
            node = node[part]
        else:
            break
        if not isinstance(node, CommentedBase):
            break
    return line


def _key_line(node: CommentedMap, key: Any, line: int) -> int:
    try:
        return int(node.lc.key(key)[0]) + 1
    except KeyError:  # it came in by a merge (<<)
        return line

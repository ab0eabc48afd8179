"""YAML as people write it for Garrison: one document of plain values, or Invalid with line and column.

Stricter than `yaml.safe_load`: no anchors and aliases (a small text can't become a large value), no duplicate keys
(the earlier one would be lost), no tags, and bounds on size and depth. Dates stay text.
"""

from typing import Any, ClassVar

import yaml

from control.domain.errors import Invalid
from control.fleet.fields import problem

DEEPEST = 32
PLAIN = "plain YAML: text, numbers, true or false, lists and mappings"


class Refused(yaml.MarkedYAMLError):
    """Something plain YAML documents don't have; `code` says what."""

    def __init__(self, code: str, found: str, mark: Any) -> None:  # noqa: ANN401 - one of two Mark classes
        super().__init__(problem=found, problem_mark=mark)
        self.code = code


class PlainLoader(yaml.SafeLoader):
    """A safe loader without aliases, duplicate keys, tags and timestamps, of bounded depth."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {  # type: ignore[misc] # the stub has it as an instance's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors: ClassVar[dict[Any, Any]] = {
        f"tag:yaml.org,2002:{kind}": yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{kind}"]
        for kind in ("null", "bool", "int", "float", "str", "seq", "map")
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 - as the library has it
        """One node, unless it is an alias or lies too deep."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call] # the stub leaves it open
        if isinstance(event, yaml.AliasEvent):
            raise Refused("alias_refused", "an alias", event.start_mark)
        if self._depth == DEEPEST:
            raise Refused("too_deep", f"more than {DEEPEST} levels", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.MappingNode):
            _refuse_duplicates(node)
        return node

    def construct_undefined(self, node: Any) -> Any:  # noqa: ANN401 - as the library has it
        """Refuse every tag that isn't plain."""
        raise Refused("tag_refused", "a tag", node.start_mark)


# The library asks the table for None when it knows no constructor of a tag.
PlainLoader.yaml_constructors[None] = PlainLoader.construct_undefined


def load_mapping(text: str, field: str, most_bytes: int) -> dict[str, Any]:
    """The mapping `text` holds; an empty document is an empty mapping. Raises Invalid naming `field`."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > most_bytes:
        raise Invalid([problem(field, "too_long", f"{size} bytes", f"at most {most_bytes} bytes")])
    value = _load(text, field)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise Invalid([problem(field, "not_a_mapping", kind_of(value), "lines like key: value")])
    return value


def kind_of(value: object) -> str:
    """What a value is, without telling it: what stands in the wrong place may be a secret."""
    match value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return "text"
        case _:
            return "a number or a word"


def key_lines(text: str) -> dict[str, int]:
    """The line, from 1, of each key at the top of a document that loads."""
    node = yaml.compose(text, PlainLoader)
    return {key.value: key.start_mark.line + 1 for key, _ in node.value} if isinstance(node, yaml.MappingNode) else {}


def _load(text: str, field: str) -> object:
    try:
        return yaml.load(text, PlainLoader)  # noqa: S506 - a SafeLoader, narrower still
    except Refused as error:
        raise Invalid([problem(field, error.code, _place(error), PLAIN)]) from None
    except yaml.MarkedYAMLError as error:
        raise Invalid([problem(field, "not_yaml", _place(error), PLAIN)]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise Invalid([problem(field, "not_yaml", str(error).split("\n")[0], PLAIN)]) from None


def _refuse_duplicates(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise Refused("key_refused", "a key that is no text", key.start_mark)
        if key.tag == "tag:yaml.org,2002:merge":
            raise Refused("key_refused", key.value, key.start_mark)
        if key.value in seen:
            raise Refused("duplicate_key", key.value, key.start_mark)
        seen.add(key.value)


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
    return f"{where}{error.problem or error.context or ''}"

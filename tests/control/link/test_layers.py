"""Layers as one mapping, and how two of these differ."""

from hypothesis import given
from hypothesis import strategies as st

from control.link.layers import Layer, Layers, differing

ITEMS = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2))


def test_layers_are_one_mapping() -> None:
    layers = Layers(Layer({"a": 1}), Layer({}), Layer({"b": 2, "c": 3}))
    assert dict(layers) == {"a": 1, "b": 2, "c": 3}
    assert (len(layers), layers["c"], layers.get("d"), "b" in layers) == (3, 3, None, True)


def test_a_layer_tells_how_it_differs_from_an_older_one() -> None:
    older, newer = Layer({"a": 1, "b": 1, "c": 1}), Layer({"a": 1, "b": 2, "d": 1})
    assert newer.since(older) == {"b", "c", "d"}
    # Worked out once.
    assert newer.since(older) is newer.since(older)
    assert newer.since(newer) == frozenset()


def test_an_older_layer_is_not_kept_alive() -> None:
    newer = Layer({"a": 1})
    newer.since(Layer({}))
    assert len(newer._since) == 0


@given(ITEMS, ITEMS, ITEMS, ITEMS)
def test_layers_differ_as_mappings_do(
    one: dict[str, int], two: dict[str, int], three: dict[str, int], four: dict[str, int]
) -> None:
    def upper(items: dict[str, int]) -> dict[str, int]:
        return {key.upper(): item for key, item in items.items()}

    older, newer = Layers(Layer(one), Layer(upper(two))), Layers(Layer(three), Layer(upper(four)))
    assert differing(older, newer) == differing(dict(older), dict(newer))
    assert differing(older, newer) == {
        key for key in {*older, *newer} if older.get(key, "none") != newer.get(key, "none")
    }

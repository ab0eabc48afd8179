"""Names of objects are one line of text that acts on nothing around it, whatever they are names of."""

from collections.abc import Callable

import pytest

from control.domain.errors import Invalid
from control.fleet.applications import create_application
from control.fleet.certificates import create_certificate, generate_certificate
from control.fleet.fields import Fields, Reader
from control.fleet.integrations import create_integration
from control.fleet.ldap_providers import create_ldap_provider
from control.fleet.outposts import create_outpost
from control.fleet.proxy_providers import create_proxy_provider
from control.store import Store, Unit
from tests.support.stores import ADMIN


def create_proxy(unit: Unit, fields: Fields) -> object:
    return create_proxy_provider(unit, fields, "http://localhost")


@pytest.mark.parametrize(
    "create",
    [
        create_application,
        create_certificate,
        generate_certificate,
        create_integration,
        create_ldap_provider,
        create_outpost,
        create_proxy,
    ],
)
def test_names_are_one_line_of_printable_text(store: Store, create: Callable[[Unit, Fields], object]) -> None:
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        create(unit, {"name": "wiki\ncreated user root"})
    assert ("name", "unprintable") in {(problem.field, problem.code) for problem in caught.value.problems}


@pytest.mark.parametrize("name", ["a\nb", "\u202ewiki", "wiki\x1b[2J", "a\u2028b"], ids=ascii)
def test_what_acts_on_text_around_it_is_no_name(name: str) -> None:
    reader = Reader({"name": name}, {"name"})
    reader.object_name("", 150)
    assert [(problem.code, problem.found) for problem in reader.problems] == [("unprintable", ascii(name))]


def test_a_name_of_an_earlier_version_is_kept_until_it_is_changed() -> None:
    reader = Reader({"name": "a\nb"}, {"name"})
    assert reader.object_name("a\nb", 150) == "a\nb"
    reader.check()
    assert reader.object_name("a", 150) == "a\nb"
    assert [problem.code for problem in reader.problems] == ["unprintable"]


def test_names_in_every_script_are_names() -> None:
    for name in ("שלום", "Bücher & Söhne", "社内 wiki", "a" * 150):
        reader = Reader({"name": name}, {"name"})
        assert reader.object_name("", 150) == name
        reader.check()

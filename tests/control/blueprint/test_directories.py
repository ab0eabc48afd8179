"""LDAP providers and outposts in blueprints."""

from tests.support.applying import Applier

DIRECTORY = """
groups: [{name: staff}]
providers:
  - {name: dir, type: ldap, base_dn: "DC=ldap,DC=goauthentik,DC=io", bind_mode: cached, search_mode: cached,
     search_group: staff, uid_start_number: 2000, gid_start_number: 4000, mfa_support: true, tls_server_name: "",
     user_attributes: [loginShell, {attribute: telephoneNumber, source: phone}], size_limit: 100, time_limit: seconds=5}
applications: [{slug: dir, name: Directory, provider: dir}]
outposts: [{name: ldap, type: ldap, providers: [dir]}]
"""


def test_a_directory_is_made_changed_and_removed(apply: Applier) -> None:
    made = ["created group staff", "created provider dir", "created application dir", "created outpost ldap"]
    assert apply(DIRECTORY) == made
    assert apply(DIRECTORY) == [line.replace("created", "unchanged") for line in made]
    assert apply("providers: [{name: dir, type: ldap, size_limit: 5}]") == ["updated provider dir"]
    assert apply("providers: [{name: dir, size_limit: 5}]") == ["unchanged provider dir"]
    gone = """
    outposts: [{name: ldap, state: absent}]
    applications: [{slug: dir, state: absent}]
    providers: [{name: dir, state: absent}]
    """
    assert apply(gone) == ["removed outpost ldap", "removed application dir", "removed provider dir"]


def test_a_provider_has_the_fields_of_its_type(apply: Applier) -> None:
    apply(DIRECTORY)
    (said,) = apply.refused("providers: [{name: dir, external_host: 'https://x.example.com'}]")
    assert said.startswith("0.yaml: providers[0].external_host: unknown field; expected one of base_dn, bind_mode")
    (said,) = apply.refused("providers: [{name: dir, type: proxy}]")
    assert said.startswith("0.yaml: providers[0].type: not changeable (found 'proxy')")
    (said,) = apply.refused("outposts: [{name: b, type: proxy, providers: [dir]}]")
    assert said.startswith(
        "0.yaml: outposts[0].providers: of another type (found 'dir'); expected providers of type proxy"
    )
    (said,) = apply.refused("providers: [{name: dir, user_attributes: [gecos, userPassword]}]")
    assert said.startswith("0.yaml: providers[0].user_attributes[1]: secret (found 'userPassword')")

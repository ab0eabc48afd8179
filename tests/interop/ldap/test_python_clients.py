"""python-ldap (libldap in Python) and ldap3 (Python alone) as applications use them, in programs of Debian's Python."""

import json
import subprocess
import textwrap
from typing import Any

import pytest

from tests.support.ldap_site import BASE, CERTIFICATE, HOST, PASSWORD, STAFF, LdapSite, group_dn, user_dn
from tests.support.peers_program import eventually, plain_environment

pytestmark = pytest.mark.interop
NEW = "another-battery-staple"
_FRAME = """
import json, sys, warnings
warnings.simplefilter("ignore")  # of these libraries, about themselves
given = json.loads(sys.argv[1])
def text(value):
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {text(key): text(each) for key, each in value.items()}
    return [text(each) for each in value] if isinstance(value, (list, tuple)) else value
"""
_PYTHON_LDAP = """
import ldap, ldap.sasl, ldap.schema
from ldap.controls import SimplePagedResultsControl
from ldap.controls.sss import SSSRequestControl
ldap.set_option(ldap.OPT_X_TLS_CACERTFILE, given["certificate"])
def bound(name="search", password=given["password"], url=None):
    client = ldap.initialize(url or given["ldap"])
    client.simple_bind_s(f"cn={name},ou=users,{given['base']}", password)
    return client
"""
_LDAP3 = """
import ssl
import ldap3
from ldap3 import ALL, ALL_ATTRIBUTES, ALL_OPERATIONAL_ATTRIBUTES, SUBTREE, Connection, Server, Tls
tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=given["certificate"])
def server(**options):
    return Server(given["host"], port=given["ports"][bool(options.get("use_ssl"))], tls=tls, get_info=ALL, **options)
def bound(of, name="search", password=given["password"], **options):
    return Connection(of, f"cn={name},ou=users,{given['base']}", password, raise_exceptions=True, **options)
"""


def python(directory: LdapSite, head: str, script: str, **more: object) -> Any:
    """What the script leaves in `result`."""
    ports = (directory.port, directory.outpost.ldaps)
    given = {
        "host": HOST, "ports": ports, "base": BASE, "password": PASSWORD, "certificate": CERTIFICATE,
        "ldap": f"ldap://{HOST}:{ports[0]}", "ldaps": f"ldaps://{HOST}:{ports[1]}", **more,
    }  # fmt: skip
    text = "\n".join([_FRAME, head, textwrap.dedent(script), "print(json.dumps(text(result)))"])
    done = subprocess.run(
        [*directory.resolving, "/usr/bin/python3", "-c", text, json.dumps(given)],
        capture_output=True, text=True, check=False, timeout=60, env=plain_environment(),
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}{done.stderr[-3000:]}"
    return json.loads(done.stdout)


def python_ldap(directory: LdapSite, script: str, **more: object) -> Any:
    """A program with python-ldap."""
    return python(directory, _PYTHON_LDAP, script, **more)


def ldap3(directory: LdapSite, script: str, **more: object) -> Any:
    """A program with ldap3."""
    return python(directory, _LDAP3, script, **more)


# python-ldap.


def test_python_ldap_over_start_tls_and_ldaps(directory: LdapSite) -> None:
    script = """
    client = ldap.initialize(given["ldap"])
    client.start_tls_s()
    client.simple_bind_s(f"cn=alice,ou=users,{given['base']}", given["password"])
    result = [client.whoami_s(), bound("bob", url=given["ldaps"]).whoami_s()]
    """
    assert python_ldap(directory, script) == [f"dn:{user_dn('alice')}", f"dn:{user_dn('bob')}"]


def test_python_ldap_searches(directory: LdapSite) -> None:
    script = """
    client = bound()
    def found(*words):
        return sorted(dn for dn, _ in client.search_s(given["base"], ldap.SCOPE_SUBTREE, *words))
    result = [
        found("(uid=ALICE)", ["cn"]),
        found("(&(objectClass=posixAccount)(memberOf=cn=engineers,ou=groups,%s)(!(cn=a*)))" % given["base"], ["1.1"]),
        client.search_s("cn=alice,ou=users," + given["base"], ldap.SCOPE_BASE, attrlist=["mail", "sn", "givenName"]),
    ]
    """
    by_name, engineers, entry = python_ldap(directory, script)
    assert by_name == [user_dn("alice")]
    assert user_dn("bob") in engineers
    assert user_dn("alice") not in engineers
    told = {"mail": ["Alice.von.der.Alm@example.test"], "sn": ["Alm"], "givenName": ["Alice von der"]}
    assert entry == [[user_dn("alice"), told]]


def test_python_ldap_pages_and_sorts(directory: LdapSite) -> None:
    script = """
    client, cookie, pages = bound(), b"", []
    while True:
        controls = [SimplePagedResultsControl(True, size=7, cookie=cookie), SSSRequestControl(ordering_rules=["-cn"])]
        people = (given["base"], ldap.SCOPE_SUBTREE, "(objectClass=posixAccount)", ["cn"])
        number = client.search_ext(*people, serverctrls=controls)
        _, entries, _, told = client.result3(number)
        pages.append([attributes["cn"][0] for _, attributes in entries])
        cookie = next(each.cookie for each in told if each.controlType == SimplePagedResultsControl.controlType)
        if not cookie:
            break
    result = pages
    """
    pages = python_ldap(directory, script)
    assert {len(page) for page in pages[:-1]} == {7}
    names = [name for page in pages for name in page]
    assert len(names) == len(set(names)) >= 35
    plain = [name.lower() for name in names if name.isascii()]
    assert plain == sorted(plain, reverse=True)


def test_python_ldap_compares_and_is_refused(directory: LdapSite) -> None:
    script = """
    client, dn = bound(), f"cn=alice,ou=users,{given['base']}"
    def refused(action, *words):
        try:
            return action(*words)
        except ldap.LDAPError as error:
            return type(error).__name__
    result = [
        client.compare_s(dn, "mail", b"ALICE.von.der.alm@EXAMPLE.test"),
        client.compare_s(dn, "mail", b"other@example.test"),
        refused(client.compare_s, dn, "loginShell2", b"x"),
        refused(client.add_s, dn, [("objectClass", b"person")]),
        refused(client.modify_s, dn, [(ldap.MOD_REPLACE, "mail", [b"x"])]),
        refused(client.delete_s, dn),
        refused(client.rename_s, dn, "cn=other"),
        refused(bound, "alice", "wrong"),
        refused(bound, "nobody", "wrong"),
        refused(bound, "alice", ""),
        refused(client.search_s, "ou=nowhere," + given["base"], ldap.SCOPE_SUBTREE),
        refused(client.search_s, "nonsense", ldap.SCOPE_SUBTREE),
    ]
    """
    assert python_ldap(directory, script) == [
        True, False, "UNDEFINED_TYPE", *["UNWILLING_TO_PERFORM"] * 4, *["INVALID_CREDENTIALS"] * 2,
        "UNWILLING_TO_PERFORM", "NO_SUCH_OBJECT", "INVALID_DN_SYNTAX",
    ]  # fmt: skip


def test_python_ldap_reads_the_schema(directory: LdapSite) -> None:
    script = """
    dn, schema = ldap.schema.urlfetch(given["ldap"] + "/cn=subschema")
    client = bound()
    dn = client.search_subschemasubentry_s()
    schema = ldap.schema.SubSchema(client.read_subschemasubentry_s(dn))
    entries = client.search_s(given["base"], ldap.SCOPE_SUBTREE, "(objectClass=*)", ["*", "+"])
    names = {name for _, attributes in entries for name in attributes}
    kinds = {kind.decode() for _, attributes in entries for kind in attributes["objectClass"]}
    result = [
        sorted(name for name in names if not schema.get_obj(ldap.schema.AttributeType, name)),
        sorted(kind for kind in kinds if not schema.get_obj(ldap.schema.ObjectClass, kind)),
        [schema.get_obj(ldap.schema.AttributeType, name).single_value for name in ("uidNumber", "member")],
    ]
    """
    assert python_ldap(directory, script) == [[], [], [True, False]]


def test_python_ldap_changes_a_password(directory: LdapSite) -> None:
    name = directory.person()
    script = """
    dn = f"cn={given['name']},ou=users,{given['base']}"
    bound(given["name"]).passwd_s(dn, given["password"], given["new"])
    result = None
    """
    python_ldap(directory, script, name=name, new=NEW)
    eventually(lambda: directory.lets_in(name, NEW), "the new password is taken")


# ldap3.


def test_ldap3_reads_everything_about_the_server(directory: LdapSite) -> None:
    script = """
    of = server()
    with bound(of):
        info, schema = of.info, of.schema
        result = [
            info.naming_contexts, [int(version) for version in info.supported_ldap_versions],
            sorted(each[0] for each in info.supported_controls), sorted(each[0] for each in info.supported_extensions),
            sorted(info.supported_features and [each[0] for each in info.supported_features]),
            sorted(schema.object_classes), "uidNumber" in schema.attribute_types, str(of.info) != "", str(schema) != "",
        ]
    """
    contexts, versions, controls, extensions, features, classes, *rest = ldap3(directory, script)
    assert (contexts, versions) == ([BASE], [3])
    assert controls == ["1.2.840.113556.1.4.319", "1.2.840.113556.1.4.473", "2.16.840.1.113730.3.4.2"]
    assert extensions == ["1.3.6.1.4.1.1466.20037", "1.3.6.1.4.1.4203.1.11.1", "1.3.6.1.4.1.4203.1.11.3"]
    assert "1.3.6.1.4.1.4203.1.5.1" in features
    assert {"top", "inetOrgPerson", "posixAccount", "groupOfNames"} <= set(classes)
    assert rest == [True, True, True]


def test_ldap3_types_every_value_by_the_schema(directory: LdapSite) -> None:
    """With the schema read, ldap3 refuses what isn't in it and makes numbers, booleans and moments of values."""
    script = """
    with bound(server(), check_names=True) as client:
        all_of_them = [ALL_ATTRIBUTES, ALL_OPERATIONAL_ATTRIBUTES]
        client.search(given["base"], "(objectClass=*)", SUBTREE, attributes=all_of_them)
        raw = {entry["dn"]: entry["attributes"] for entry in client.response}
        alice = raw[f"cn=alice,ou=users,{given['base']}"]
        result = [len(raw), type(alice["uidNumber"]).__name__, type(alice["modifyTimestamp"]).__name__,
                  type(alice["ak-active"]).__name__, type(alice["memberOf"]).__name__, alice["cn"]]
    """
    count, number, moment, truth, several, name = ldap3(directory, script)
    assert count > 80
    assert (number, moment, truth, several) == ("int", "datetime", "bool", "list")
    assert name in ("alice", ["alice"])


@pytest.mark.parametrize("over", ["start_tls", "ldaps"])
def test_ldap3_over_tls(directory: LdapSite, over: str) -> None:
    script = """
    from ldap3 import AUTO_BIND_NO_TLS, AUTO_BIND_TLS_BEFORE_BIND
    start = given["over"] == "start_tls"
    how = AUTO_BIND_TLS_BEFORE_BIND if start else AUTO_BIND_NO_TLS
    with bound(server(use_ssl=not start), "alice", auto_bind=how) as client:
        result = [client.tls_started or client.server.ssl, client.extend.standard.who_am_i()]
    """
    assert ldap3(directory, script, over=over) == [True, f"dn:{user_dn('alice')}"]


def test_ldap3_pages_and_abstracts(directory: LdapSite) -> None:
    script = """
    from ldap3 import ObjectDef, Reader
    with bound(server()) as client:
        paged = client.extend.standard.paged_search(given["base"], "(objectClass=posixAccount)", SUBTREE,
                                                    attributes=["cn"], paged_size=5, generator=True)
        names = [entry["attributes"]["cn"] for entry in paged]
        kind = ObjectDef("groupOfNames", client)
        reader = Reader(client, kind, "ou=groups," + given["base"], "cn: " + given["group"])
        reader.search()
        result = [len(names), [entry.entry_dn for entry in reader], str(reader[0].cn)]
    """
    count, dns, name = ldap3(directory, script, group=STAFF)
    assert count >= 35
    assert (dns, name) == ([group_dn(STAFF)], STAFF)


def test_ldap3_changes_a_password_and_has_one_made(directory: LdapSite) -> None:
    name = directory.person()
    script = """
    with bound(server(), given["name"]) as client:
        result = client.extend.standard.modify_password(None, given["password"])
    """
    made = ldap3(directory, script, name=name)
    assert isinstance(made, str)
    assert len(made) >= 12
    eventually(lambda: directory.lets_in(name, made), "the password that was made is taken")


def test_ldap3_asynchronous_searches_on_one_connection(directory: LdapSite) -> None:
    script = """
    with bound(server(), client_strategy=ldap3.ASYNC) as client:
        asked = [client.search(given["base"], f"(uid={name})", SUBTREE, attributes=["uid"])
                 for name in ["alice", "bob", "carol", "grace"] * 10]
        result = [client.get_response(number)[0][0]["attributes"]["uid"][0] for number in asked]
    """
    assert ldap3(directory, script) == ["alice", "bob", "carol", "grace"] * 10

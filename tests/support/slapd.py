"""OpenLDAP's slapd with the entries that a test gives it: what answers ours are held against.

It has its own folder, configuration and port; the one that the package made isn't touched. Its schema is OpenLDAP's own
and what the test adds. There are no limits.
"""

import base64
import re
import shutil
import subprocess
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import ldap_ber as ber
from tests.support.ldap_client import Ldap, connected
from tests.support.peers_program import Program, eventually, free_port, plain_environment, require

MANAGER, PASSWORD = "cn=manager", "secret"
SCHEMAS = ("core", "cosine", "inetorgperson")
SCHEMA_FOLDER = Path("/etc/ldap/schema")
# What slapd makes itself for each entry.
MADE = frozenset({"entrydn", "hassubordinates", "subschemasubentry"})
_CONFIG = """
{schemas}
include {folder}/added.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload sssvlv
moduleload ppolicy
pidfile {folder}/slapd.pid
sizelimit unlimited
timelimit unlimited
sockbuf_max_incoming 4000000
{global_}
{access}
database mdb
suffix "{suffix}"
rootdn "{manager},{suffix}"
rootpw {password}
directory {folder}/data
maxsize 2000000000
dbnosync
lastmod off
{database}
overlay sssvlv
"""
_SAFE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x1f\x21-\x39\x3b\x3d-\x7f][\x01-\x09\x0b\x0c\x0e-\x7f]*(?<! )")

Attributes = Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How slapd is to be: more schema, who may what, and lines of slapd.conf before and for the database."""

    suffix: str
    schema: str = ""
    access: str = "access to * by * read"
    settings: str = ""
    database: str = ""
    pinned: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slapd:
    """A running one."""

    port: int
    program: Program
    manager: tuple[str, str]


def ldif(entries: Iterable[tuple[str, Attributes]]) -> Iterator[str]:
    """Entries as RFC 2849 has them, without what slapd makes itself."""
    for dn, attributes in entries:
        yield _line("dn", dn.encode())
        for name, values in attributes.items():
            if name.lower() not in MADE:
                yield from (_line(name, value) for value in values)
        yield "\n"


def _line(name: str, value: bytes) -> str:
    if not value or _SAFE.fullmatch(value):
        return f"{name}: {value.decode()}\n"
    return f"{name}:: {base64.b64encode(value).decode()}\n"


@contextmanager
def slapd(folder: Path, plan: Plan, entries: Iterable[tuple[str, Attributes]]) -> Iterator[Slapd]:
    """slapd with these entries, parents before children, until the block ends."""
    config = _prepare(folder, plan)
    _load(folder, config, entries)
    port = free_port()
    command = [*plan.pinned, require("slapd", "slapd"), "-d", "0", "-f", str(config), "-h", f"ldap://127.0.0.1:{port}/"]
    program = Program("slapd", command)
    try:
        eventually(lambda: _answers(port), "slapd answers", alive=program)
        yield Slapd(port=port, program=program, manager=(f"{MANAGER},{plan.suffix}", PASSWORD))
    finally:
        program.stop()


def published(client: Ldap) -> Iterator[tuple[str, str]]:
    """The definitions of a server's schema: attributeTypes or objectClasses, and the text of one of them."""
    kinds = ("attributeTypes", "objectClasses")
    root = client.search(ber.Search(base="", scope=ber.BASE, attributes=["subschemaSubentry"])).entries[0]
    asked = ber.Search(base=root.texts("subschemaSubentry")[0], scope=ber.BASE, attributes=kinds)
    for name, values in client.search(asked).entries[0].attributes.items():
        yield from ((name, value.decode()) for value in values)


def oid_of(definition: str) -> str:
    """The number of a definition."""
    found = re.match(r"\(\s*(\S+)", definition)
    assert found, f"no definition: {definition}"
    return found[1]


def lacking(folder: Path, definitions: Iterable[tuple[str, str]]) -> str:
    """Those definitions that slapd doesn't have by itself, as its configuration has them.

    Without operational attributes, which slapd takes from its modules alone.
    """
    with slapd(folder, Plan(suffix="dc=test"), ()) as bare, connected(bare.port) as client:
        known = {oid_of(definition) for _, definition in published(client)}
    words = {"attributeTypes": "attributetype", "objectClasses": "objectclass"}
    return "".join(f"{words[kind]} {text}\n" for kind, text in definitions if _is_added(text, known))


def _is_added(definition: str, known: Container[str]) -> bool:
    return oid_of(definition) not in known and " USAGE " not in definition


def _answers(port: int) -> bool:
    client = Ldap(port)
    found = client.search(ber.Search(base="", scope=ber.BASE))
    client.close()
    return found.code == 0


def _prepare(folder: Path, plan: Plan) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    (folder / "added.schema").write_text(plan.schema)
    config = folder / "slapd.conf"
    config.write_text(
        _CONFIG.format(
            schemas="\n".join(f"include {SCHEMA_FOLDER}/{name}.schema" for name in SCHEMAS),
            folder=folder,
            suffix=plan.suffix,
            manager=MANAGER,
            password=PASSWORD,
            access=plan.access,
            global_=plan.settings,
            database=plan.database,
        )
    )
    return config


def _load(folder: Path, config: Path, entries: Iterable[tuple[str, Attributes]]) -> None:
    path = folder / "entries.ldif"
    with path.open("w") as file:
        file.writelines(ldif(entries))
    if not path.stat().st_size:
        return
    # -s: the structure of entries isn't checked; ours belong to more than one structural class, as others' do.
    command = [require("slapadd", "slapd"), "-q", "-s", "-f", str(config), "-l", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=plain_environment()
    )  # fmt: skip
    assert done.returncode == 0, f"slapadd: {done.returncode}\n{done.stdout}{done.stderr[-3000:]}"

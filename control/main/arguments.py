"""The command line of `garrison`, parsed into one frozen value."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What was given; None or empty where nothing was. Only the fields of its command mean something."""

    command: str
    data: str | None = None
    url: str | None = None
    http: str | None = None
    https: str | None = None
    link: str | None = None
    metrics: str | None = None
    blueprints: tuple[Path, ...] = ()
    demo: bool = False
    embedded: bool = True
    dry_run: bool = False
    json: bool = False
    outpost: str = ""
    change: str = ""
    follow: bool = False
    wanted: tuple[tuple[str, str], ...] = ()
    socket: int = -1


# What the audit trail is narrowed by (control.domain.audit): the value's name and the meaning of each.
WANTED = {
    "actor": ("NAME", "of this actor: a username, outpost/NAME, cli, system or anonymous"),
    "action": ("ACTION", "of this action, like signed_in"),
    "kind": ("KIND", "on this kind of object, like application"),
    "target": ("ID", "on this object"),
    "name": ("TEXT", "on what has this text in its name"),
    "outcome": ("OUTCOME", "with this outcome: success, or failure for everything else"),
    "address": ("ADDRESS", "from this address"),
    "outpost": ("NAME", "told by this outpost"),
    "request_id": ("ID", "of this request"),
    "from": ("TIME", "from this time on, like 2026-11-22T14:30Z, or this day (UTC)"),
    "to": ("TIME", "before this time, or up to and with this day"),
}
HIDDEN = ("_web", "_link", "_tasks")


def parse(arguments: Sequence[str]) -> Arguments:
    """The arguments of one command. Bad usage ends the program with code 2."""
    if arguments and arguments[0] in HIDDEN:
        return _arguments(_hidden_parser(arguments[0]).parse_args(arguments[1:]), arguments[0])
    found = _parser().parse_args(arguments)
    return _arguments(found, found.command)


def _arguments(found: argparse.Namespace, command: str) -> Arguments:
    named = vars(found)
    values = {name: named[name] for name in Arguments.__dataclass_fields__ if named.get(name) is not None}
    values["blueprints"] = tuple(values.get("blueprints", ()))
    values["wanted"] = tuple((name, named[f"wanted_{name}"]) for name in WANTED if named.get(f"wanted_{name}"))
    return Arguments(**{**values, "command": command})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="garrison", description="A self-hosted access system: control plane and outposts.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="run control and the embedded outpost", allow_abbrev=False))
    _add_apply(commands.add_parser("apply", help="create, change and remove objects by files", allow_abbrev=False))
    token = commands.add_parser("token", help="print the token of an outpost", allow_abbrev=False)
    _add_token(token)
    authority = commands.add_parser(
        "rotate-authority", help="have another authority sign the link's certificates", allow_abbrev=False
    )
    _add_data(authority)
    outposts = commands.add_parser("outposts", help="list the instances of all outposts", allow_abbrev=False)
    outposts.add_argument("--json", action="store_true", help="as JSON")
    _add_data(outposts)
    _add_audit(commands.add_parser("audit", help="print the audit trail as JSON lines", allow_abbrev=False))
    healthcheck = commands.add_parser("healthcheck", help="say whether control is ready here", allow_abbrev=False)
    healthcheck.add_argument("--metrics", metavar="HOST:PORT", help="ask there (default: as garrison serve listens)")
    commands.add_parser("outpost", help="run an outpost: garrison outpost proxy --help", add_help=False)
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    _add_url(parser)
    parser.add_argument(
        "--blueprint", action="append", type=Path, dest="blueprints", metavar="FILE", help="apply this file at start"
    )
    parser.add_argument("--demo", action="store_true", help="add a demo application and two users, and say what to try")
    for name, port in (("http", 9000), ("https", 9443), ("link", 9444), ("metrics", 9300)):
        parser.add_argument(
            f"--{name}", metavar="HOST:PORT", help=f"listen there (default: port {port}, all addresses)"
        )
    parser.add_argument(
        "--no-embedded-outpost",
        action="store_false",
        dest="embedded",
        default=True,
        help="serve no application through the front door",
    )


def _add_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("outpost", metavar="OUTPOST", help="name of the outpost")
    changes = parser.add_mutually_exclusive_group()
    for change, meaning in (
        ("rotate", "make a new one first; the old one counts besides, and instances are sent the new one"),
        ("retire", "revoke the older ones first"),
        ("replace", "make a new one and revoke the old at once, as after a leak"),
    ):
        changes.add_argument(f"--{change}", action="store_const", dest="change", const=change, help=meaning)
    _add_data(parser)


def _add_apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("blueprints", nargs="+", type=Path, metavar="FILE", help="a blueprint (YAML)")
    parser.add_argument("--dry-run", action="store_true", help="say what would change, change nothing")
    _add_data(parser)
    _add_url(parser)


def _add_audit(parser: argparse.ArgumentParser) -> None:
    for name, (value, meaning) in WANTED.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, dest=f"wanted_{name}", metavar=value, help=meaning)
    parser.add_argument("--follow", action="store_true", help="print new events as they come, until Ctrl-C")
    _add_data(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", help="data folder (default: GARRISON_DATA or /var/lib/garrison)")


def _add_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="URL at which browsers reach Garrison (default: GARRISON_URL)")


def _hidden_parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"garrison {command}", allow_abbrev=False)
    for name in ("--http", "--https", "--link"):
        parser.add_argument(name, metavar="HOST:PORT")
    parser.add_argument("--socket", type=int, metavar="DESCRIPTOR")
    return parser

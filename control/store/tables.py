"""The tables. A column is named like the field of the domain value it holds; sealed ones hold ciphertext.

Changing this file means a new migration; `make check` compares the two.
"""
# long: tables refer to each other, and their migrations are compared with all of them

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    literal_column,
)

from control.domain.application import BindMode, PolicyMode, ProviderType, ProxyMode, SearchMode
from control.domain.factors import Method
from control.domain.identity import UserKind
from control.domain.integration import DeploymentState, IntegrationType
from control.domain.outpost import InstanceEventKind, InstanceState, OutpostType
from control.domain.task import LineLevel, TaskKind, TaskState
from control.store.columns import Listed, UtcDateTime, Word, mappings, rejections

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[object]:
    return Column("id", Uuid, primary_key=True)


def _to(target: str, ondelete: str = "CASCADE") -> ForeignKey:
    return ForeignKey(f"{target}.id", ondelete=ondelete)


# One row. `latest` is the last moment that a session or a revocation was dated by (control.store.moments).
revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("latest", UtcDateTime),
)

# The numbers that are given next; none is given twice, whatever is removed (control.store.numbers).
counters = Table(
    "counters",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("next", BigInteger, nullable=False),
)

users = Table(
    "users",
    metadata,
    _id(),
    Column("number", Integer, nullable=False, unique=True, index=True),
    Column("username", String(150), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("email", String(320), nullable=False),
    Column("kind", Word(UserKind), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("password_hash", String(255)),
    Column("password_changed", UtcDateTime),
    Column("created", UtcDateTime, nullable=False),
    Column("updated", UtcDateTime, nullable=False),
    Column("last_sign_in", UtcDateTime),
)

groups = Table(
    "groups",
    metadata,
    _id(),
    Column("number", Integer, nullable=False, unique=True, index=True),
    Column("name", String(150), nullable=False, unique=True),
    Column("superuser", Boolean, nullable=False),
    Column("second_factor", Boolean, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("updated", UtcDateTime, nullable=False),
)

group_parents = Table(
    "group_parents",
    metadata,
    Column("group", Uuid, _to("groups"), primary_key=True),
    Column("parent", Uuid, _to("groups"), primary_key=True, index=True),
)

memberships = Table(
    "memberships",
    metadata,
    Column("user", Uuid, _to("users"), primary_key=True),
    Column("group", Uuid, _to("groups"), primary_key=True, index=True),
)

certificates = Table(
    "certificates",
    metadata,
    _id(),
    Column("name", String(150), nullable=False, unique=True),
    Column("chain", Text, nullable=False),
    Column("private_key", LargeBinary),
    Column("created", UtcDateTime, nullable=False),
)

providers = Table(
    "providers",
    metadata,
    _id(),
    Column("name", String(150), nullable=False, unique=True),
    Column("type", Word(ProviderType), nullable=False),
)

proxy_providers = Table(
    "proxy_providers",
    metadata,
    Column("id", Uuid, _to("providers"), primary_key=True),
    Column("client_id", String(80), nullable=False, unique=True),
    Column("mode", Word(ProxyMode), nullable=False),
    Column("external_host", String(500), nullable=False),
    Column("internal_host", String(2000), nullable=False),
    Column("internal_host_ssl_validation", Boolean, nullable=False),
    Column("cookie_domain", String(255), nullable=False),
    Column("skip_path_regex", Text, nullable=False),
    Column("access_token_validity", Interval, nullable=False),
    Column("intercept_header_auth", Boolean, nullable=False),
    Column("basic_auth_enabled", Boolean, nullable=False),
    Column("basic_auth_user_attribute", String(250), nullable=False),
    Column("basic_auth_password_attribute", String(250), nullable=False),
    Column("certificate", Uuid, _to("certificates", "RESTRICT")),
    Column("internal_host_header", String(500), nullable=False),
    Column("internal_host_server_name", String(255), nullable=False),
    Column("internal_host_authorities", Uuid, _to("certificates", "RESTRICT")),
    Column("internal_host_certificate", Uuid, _to("certificates", "RESTRICT")),
    Column("internal_host_connect_timeout", Interval, nullable=False),
    Column("internal_host_response_timeout", Interval, nullable=False),
    Column("internal_host_idle_timeout", Interval, nullable=False),
    Column("internal_host_connections", Integer, nullable=False),
    Column("security_headers", Boolean, nullable=False),
)

ldap_providers = Table(
    "ldap_providers",
    metadata,
    Column("id", Uuid, _to("providers"), primary_key=True),
    Column("base_dn", String(500), nullable=False),
    Column("bind_mode", Word(BindMode), nullable=False),
    Column("search_mode", Word(SearchMode), nullable=False),
    Column("mfa_support", Boolean, nullable=False),
    Column("search_group", Uuid, _to("groups", "RESTRICT"), index=True),
    Column("uid_start_number", Integer, nullable=False),
    Column("gid_start_number", Integer, nullable=False),
    Column("certificate", Uuid, _to("certificates", "RESTRICT")),
    Column("tls_server_name", String(255), nullable=False),
    Column("user_attributes", mappings(), nullable=False),
    Column("group_attributes", mappings(), nullable=False),
    Column("size_limit", Integer, nullable=False),
    Column("time_limit", Interval, nullable=False),
)

cookie_keys = Table(
    "cookie_keys",
    metadata,
    _id(),
    Column("provider", Uuid, _to("providers"), nullable=False, index=True),
    Column("secret", LargeBinary, nullable=False),
    Column("created", UtcDateTime, nullable=False),
)

applications = Table(
    "applications",
    metadata,
    _id(),
    Column("slug", String(80), nullable=False, unique=True),
    Column("name", String(150), nullable=False),
    Column("provider", Uuid, _to("providers", "RESTRICT"), unique=True),
    Column("policy_mode", Word(PolicyMode), nullable=False),
    Column("second_factor", Boolean, nullable=False),
    Column("category", String(150), nullable=False),
    Column("description", Text, nullable=False),
    Column("publisher", String(150), nullable=False),
    Column("launch_url", String(2000), nullable=False),
)

# A user or group that guards an application can't be removed: the application would open to everybody.
bindings = Table(
    "bindings",
    metadata,
    _id(),
    Column("application", Uuid, _to("applications"), nullable=False, index=True),
    Column("user", Uuid, _to("users", "RESTRICT"), index=True),
    Column("group", Uuid, _to("groups", "RESTRICT"), index=True),
    Column("order", Integer, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("negate", Boolean, nullable=False),
)

integrations = Table(
    "integrations",
    metadata,
    _id(),
    Column("name", String(150), nullable=False, unique=True),
    Column("type", Word(IntegrationType), nullable=False),
    Column("url", String(500), nullable=False),
    Column("tls_verification", Uuid, _to("certificates", "RESTRICT")),
    Column("tls_authentication", Uuid, _to("certificates", "RESTRICT")),
    Column("local", Boolean, nullable=False),
    Column("created", UtcDateTime, nullable=False),
)

integration_health = Table(
    "integration_health",
    metadata,
    Column("id", Uuid, _to("integrations"), primary_key=True),
    Column("healthy", Boolean, nullable=False),
    Column("checked", UtcDateTime, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("error", String(80), nullable=False),
    Column("detail", Text, nullable=False),
    Column("version", String(80), nullable=False),
    Column("missing", Listed(), nullable=False),
    Column("host_key", Text, nullable=False),
    Column("offered_key", Text, nullable=False),
)

# No foreign key to the outpost: what lies on an engine outlives it.
deployments = Table(
    "deployments",
    metadata,
    _id(),
    Column("integration", Uuid, _to("integrations"), nullable=False, index=True),
    Column("outpost", Uuid, nullable=False),
    Column("name", String(150), nullable=False),
    Column("state", Word(DeploymentState), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("image", String(500), nullable=False),
    Column("failed", String(64), nullable=False),
    Column("failed_image", String(500), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("retry", UtcDateTime),
    Column("error", String(80), nullable=False),
    Column("detail", Text, nullable=False),
    Column("hosts", Listed(), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("checked", UtcDateTime),
    Column("changed", UtcDateTime),
)
Index(None, deployments.c.outpost, deployments.c.integration, unique=True)

# Runs of background work: those that wait are the queue. No foreign keys: a run outlives what it was about.
task_runs = Table(
    "task_runs",
    metadata,
    _id(),
    Column("kind", Word(TaskKind), nullable=False),
    Column("subject", Uuid),
    Column("name", String(200), nullable=False),
    Column("cause", String(200), nullable=False),
    Column("state", Word(TaskState), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("created", UtcDateTime, nullable=False, index=True),
    Column("due", UtcDateTime, nullable=False),
    Column("started", UtcDateTime),
    Column("finished", UtcDateTime, index=True),
    Column("done", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("error", String(80), nullable=False),
    Column("values", JSON, nullable=False),
    Column("result", JSON(none_as_null=True)),
    Column("cancel_asked", Boolean, nullable=False),
    Column("holder", Uuid),
    Column("lease", UtcDateTime),
)
Index(None, task_runs.c.state, task_runs.c.due)
Index(None, task_runs.c.subject, task_runs.c.created)

task_lines = Table(
    "task_lines",
    metadata,
    _id(),
    Column("run", Uuid, _to("task_runs"), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("level", Word(LineLevel), nullable=False),
    Column("code", String(80), nullable=False),
    Column("values", JSON, nullable=False),
)

outposts = Table(
    "outposts",
    metadata,
    _id(),
    Column("name", String(150), nullable=False, unique=True),
    Column("type", Word(OutpostType), nullable=False),
    Column("service_account", Uuid, _to("users", "RESTRICT"), nullable=False),
    Column("config", JSON, nullable=False),
    Column("embedded", Boolean, nullable=False),
    Column("manual", Boolean, nullable=False),
    # No reference, as SQLite can't add one later; the repository of integrations refuses to remove one that is named.
    Column("integration", Uuid, index=True),
    Column("created", UtcDateTime, nullable=False),
)

outpost_providers = Table(
    "outpost_providers",
    metadata,
    Column("outpost", Uuid, _to("outposts"), primary_key=True),
    Column("provider", Uuid, _to("providers"), primary_key=True, index=True),
)

tokens = Table(
    "tokens",
    metadata,
    _id(),
    Column("identifier", String(150), nullable=False, unique=True),
    Column("user", Uuid, _to("users"), nullable=False, index=True),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("secret", LargeBinary, nullable=False),
    Column("description", String(500), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime),
    Column("revoked", UtcDateTime),
    Column("last_used", UtcDateTime),
)

instances = Table(
    "instances",
    metadata,
    _id(),
    Column("outpost", Uuid, _to("outposts"), nullable=False, index=True),
    Column("uid", String(64), nullable=False),
    Column("state", Word(InstanceState), nullable=False),
    Column("hostname", String(255), nullable=False),
    Column("version", String(80), nullable=False),
    Column("build", String(80), nullable=False),
    Column("address", String(80), nullable=False),
    Column("started", UtcDateTime),
    Column("connected_since", UtcDateTime),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("applied_revision", BigInteger, nullable=False),
    Column("wanted_revision", BigInteger, nullable=False),
    Column("clock_skew", Float, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("load", Float, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("rejections", rejections(), nullable=False),
    Column("protocol", Integer, nullable=False),
    Column("holder", Uuid, index=True),
    Column("environment_token", String(64), nullable=False),
    Column("held_token", String(64), nullable=False),
)
Index(None, instances.c.outpost, instances.c.uid, unique=True)

instance_events = Table(
    "instance_events",
    metadata,
    _id(),
    Column("outpost", Uuid, _to("outposts"), nullable=False),
    Column("uid", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("kind", Word(InstanceEventKind), nullable=False),
    Column("detail", Text, nullable=False),
)
Index(None, instance_events.c.outpost, instance_events.c.at)

drains = Table(
    "drains",
    metadata,
    _id(),
    Column("outpost", Uuid, _to("outposts"), nullable=False, index=True),
    Column("uid", String(64), nullable=False),
    Column("asked", UtcDateTime, nullable=False),
)

link_processes = Table(
    "link_processes",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    Column("started", UtcDateTime, nullable=False),
    Column("last_seen", UtcDateTime, nullable=False),
)

# The feed of users and groups: what changed with which revision. Each revision that changed something begins an epoch,
# which tells it from one of the same number in another history of the database.
directory_epochs = Table(
    "directory_epochs",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", Uuid, nullable=False),
)

# What the last revisions changed (control.store.recent).
recent_changes = Table(
    "recent_changes",
    metadata,
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(40), primary_key=True),
    Column("target", String(80), primary_key=True),
)

directory_changes = Table(
    "directory_changes",
    metadata,
    Column("revision", BigInteger, primary_key=True),
    Column("target", Uuid, primary_key=True),
    Column("kind", String(5), nullable=False),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    _id(),
    Column("user", Uuid, _to("users"), nullable=False, index=True),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("authenticated", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime, nullable=False, index=True),
    Column("last_seen", UtcDateTime, nullable=False),
    Column("methods", Listed(item=Method), nullable=False),
    Column("address", String(80), nullable=False),
    Column("user_agent", String(300), nullable=False),
)

authenticators = Table(
    "authenticators",
    metadata,
    _id(),
    Column("user", Uuid, _to("users"), nullable=False, index=True),
    Column("name", String(150), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("confirmed", UtcDateTime),
    Column("last_step", BigInteger, nullable=False),
    Column("last_used", UtcDateTime),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    _id(),
    Column("user", Uuid, _to("users"), nullable=False, index=True),
    Column("fingerprint", String(64), nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("used", UtcDateTime),
)

app_passwords = Table(
    "app_passwords",
    metadata,
    _id(),
    Column("user", Uuid, _to("users"), nullable=False, index=True),
    Column("name", String(150), nullable=False),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("created", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime),
    Column("everywhere", Boolean, nullable=False),
    Column("second_factor", Boolean, nullable=False),
    Column("last_used", UtcDateTime),
    Column("last_address", String(80), nullable=False),
)

app_password_applications = Table(
    "app_password_applications",
    metadata,
    Column("app_password", Uuid, _to("app_passwords"), primary_key=True),
    Column("application", Uuid, _to("applications"), primary_key=True, index=True),
)

# What devices may go on sending: revoked, and so no guess at the password of whoever had it.
revoked_app_passwords = Table(
    "revoked_app_passwords",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("user", Uuid, _to("users"), nullable=False, index=True),
    Column("revoked", UtcDateTime, nullable=False, index=True),
)

# Failed attempts in a row, by whom they are counted for. No foreign keys: nobody of that name may exist.
failures = Table(
    "failures",
    metadata,
    Column("bucket", String(80), primary_key=True),
    Column("shown", String(200), nullable=False),
    Column("address", String(80), nullable=False),
    Column("count", Integer, nullable=False),
    Column("first", UtcDateTime, nullable=False),
    Column("last", UtcDateTime, nullable=False, index=True),
    Column("locked_until", UtcDateTime, index=True),
)

familiar = Table(
    "familiar",
    metadata,
    Column("user", Uuid, _to("users"), primary_key=True),
    Column("address", String(80), primary_key=True),
    Column("last", UtcDateTime, nullable=False, index=True),
)

authorization_codes = Table(
    "authorization_codes",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("provider", Uuid, _to("providers"), nullable=False),
    Column("user", Uuid, _to("users"), nullable=False),
    Column("sign_in", Uuid, _to("sign_ins"), nullable=False),
    Column("redirect_uri", String(2000), nullable=False),
    Column("nonce", String(500), nullable=False),
    Column("challenge", String(128), nullable=False),
    Column("scope", String(500), nullable=False),
    Column("expires", UtcDateTime, nullable=False, index=True),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    _id(),
    Column("private_key", LargeBinary, nullable=False),
    Column("created", UtcDateTime, nullable=False),
)

authorities = Table(
    "authorities",
    metadata,
    _id(),
    Column("certificate", Text, nullable=False),
    Column("private_key", LargeBinary, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("retires", UtcDateTime),
)

# No foreign keys: what ended a session outlives the rows it speaks of.
revocations = Table(
    "revocations",
    metadata,
    _id(),
    Column("sign_in", Uuid),
    Column("user", Uuid),
    Column("provider", Uuid),
    Column("changed", Boolean, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False, index=True),
)

audit_events = Table(
    "audit_events",
    metadata,
    _id(),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("recorded", UtcDateTime, nullable=False, index=True),
    Column("actor", String(200), nullable=False),
    Column("action", String(80), nullable=False),
    Column("kind", String(80), nullable=False),
    Column("target", String(80), nullable=False),
    Column("name", String(500), nullable=False),
    Column("fields", Listed(), nullable=False),
    Column("address", String(80), nullable=False),
    Column("outcome", String(200), nullable=False),
    Column("reason", String(500), nullable=False),
    Column("request_id", String(80), nullable=False),
    Column("outpost", String(150), nullable=False),
    Column("count", Integer, nullable=False),
)
# Those by which a trail of a million events is narrowed to a few; within equal times events are sorted when read.
for _name in ("actor", "action", "kind", "target", "address", "outpost", "request_id"):
    Index(None, audit_events.c[_name], audit_events.c.at)
IS_FAILURE = audit_events.c.outcome != literal_column("'success'")
Index("ix_audit_events_failures", audit_events.c.at, sqlite_where=IS_FAILURE, postgresql_where=IS_FAILURE)

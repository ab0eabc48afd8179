"""What a worker process is given of its supervisor's environment."""

from dataplane.runtime.process import environment_of_worker


def test_a_worker_has_no_settings_nor_what_they_name() -> None:
    ours = {
        "AUTHENTIK_HOST": "https://auth.example.com",
        "AUTHENTIK_TOKEN": "env://EDGE_TOKEN",
        "EDGE_TOKEN": "secret",
        "AUTHENTIK_INSECURE": "env://LAB?true",
        "LAB": "false",
        "GARRISON_LINK": "env://UNSET",
        "PATH": "/bin",
        "OTHER": "env://PATH",
    }
    assert environment_of_worker(ours) == {"PATH": "/bin", "OTHER": "env://PATH", "GEVENT_LOOP": "libev-cext"}

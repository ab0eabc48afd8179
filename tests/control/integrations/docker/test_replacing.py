"""A request for a container like one that was seen."""

from control.integrations.docker.replacing import body_of


def test_as_it_was_made_with_the_very_image_it_ran() -> None:
    seen = {
        "Id": "0123456789abcdef" * 4,
        "Image": "sha256:1",
        "Config": {"Image": "app:1", "Env": ["A=1"], "Hostname": "0123456789ab", "MacAddress": "02:42:00:00:00:01"},
        "HostConfig": {"NetworkMode": "front", "ReadonlyRootfs": True},
        "NetworkSettings": {
            "Networks": {"front": {"Aliases": ["app", "0123456789ab"], "IPAMConfig": None, "IPAddress": "10.0.0.2"}}
        },
    }

    assert body_of(seen) == {
        "Image": "sha256:1",
        "Env": ["A=1"],
        "HostConfig": {"NetworkMode": "front", "ReadonlyRootfs": True},
        "NetworkingConfig": {
            "EndpointsConfig": {"front": {"IPAMConfig": None, "Links": None, "Aliases": ["app"]}},
        },
    }


def test_a_host_name_of_ones_own_is_kept() -> None:
    seen = {"Id": "f" * 64, "Image": "sha256:1", "Config": {"Hostname": "edge"}, "HostConfig": None}

    assert body_of(seen)["Hostname"] == "edge"

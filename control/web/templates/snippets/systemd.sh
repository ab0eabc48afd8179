sudo install -d -m 700 /etc/garrison
sudo install -m 600 /dev/stdin /etc/garrison/{{ name }}.env <<'END'
{% for key, value in environment.items() %}
{{ key }}={{ value|envfile }}
{% endfor %}
END
sudo install -m 644 /dev/stdin /etc/systemd/system/{{ name }}.service <<'END'
[Unit]
Description=Garrison outpost ({{ type }})
After=network-online.target
Wants=network-online.target

[Service]
EnvironmentFile=/etc/garrison/{{ name }}.env
ExecStart=/opt/garrison/.venv/bin/garrison-outpost {{ type }} --state /var/lib/{{ name }}
KillMode=mixed
TimeoutStopSec=15
Restart=always
RestartSec=2
DynamicUser=yes
StateDirectory={{ name }}
StateDirectoryMode=0700
UMask=0077
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
END
sudo systemctl daemon-reload
sudo systemctl enable --now {{ name }}.service

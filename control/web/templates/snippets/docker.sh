(umask 077 && cat >{{ name }}.env) <<'END'
{% for key, value in environment.items() %}
{{ key }}={{ value|dockerfile }}
{% endfor %}
END
docker run --detach --restart unless-stopped --name {{ name }} \
  --env-file {{ name }}.env \
{% for key, value in deployment.labels.items() %}
  --label {{ (key ~ "=" ~ value)|shell }} \
{% endfor %}
{% if options.docker_network %}
  --network {{ options.docker_network|shell }} \
{% endif %}
{% if deployment.publishes %}
{% for port in deployment.ports.values() %}
  --publish {{ port }}:{{ port }} \
{% endfor %}
{% endif %}
  --volume {{ name }}-state:/var/lib/garrison \
  --read-only --cap-drop ALL --security-opt no-new-privileges \
  {{ deployment.image|shell }} {{ type }}
rm {{ name }}.env

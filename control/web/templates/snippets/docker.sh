docker run --detach --restart unless-stopped --name {{ name|shell }} \
  --publish 9000:9000 --publish 9443:9443 \
  --volume {{ (name ~ "-state")|shell }}:/var/lib/garrison \
{% for key, value in environment.items() %}
  --env {{ (key ~ "=" ~ value)|shell }} \
{% endfor %}
  {{ image|shell }} {{ type }}

{% for key, value in environment.items() %}
{{ key }}={{ value|shell }} \
{% endfor %}
garrison-outpost {{ type }} --state "$HOME"/{{ name|shell }}

export LDAPTLS_CACERT={{ ca_file }}
ldapsearch -x -H {{ directory.ldaps }} -D {{ directory.bind_dn|shell }} -W \
  -b {{ directory.base|shell }} '(uid=alice)' cn mail memberOf
ldapwhoami -x -H {{ directory.ldaps }} -D {{ ("cn=alice," ~ directory.users)|shell }} -W

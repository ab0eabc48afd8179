pveum realm add garrison --type ldap --mode ldaps --verify 1 --capath {{ ca_file }} \
  --server1 {{ directory.host|shell }} --port {{ directory.ldaps.rpartition(":")[2] }} \
  --base_dn {{ directory.users|shell }} --user_attr uid \
  --bind_dn {{ directory.bind_dn|shell }} --password {{ password }} \
  --user_classes inetOrgPerson --filter '(ak-active=TRUE)' \
  --sync_attributes email=mail,firstname=givenName,lastname=sn \
  --group_dn {{ directory.groups|shell }} --group_classes groupOfNames --group_name_attr cn
pveum realm sync garrison --scope both --enable-new 1

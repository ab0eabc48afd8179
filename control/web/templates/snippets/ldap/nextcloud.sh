occ app:enable user_ldap
occ ldap:create-empty-config
# It prints the name of the configuration: s01 for the first one.
occ ldap:set-config s01 ldapHost {{ ("ldaps://" ~ directory.host)|shell }}
occ ldap:set-config s01 ldapPort {{ directory.ldaps.rpartition(":")[2] }}
occ ldap:set-config s01 ldapAgentName {{ directory.bind_dn|shell }}
occ ldap:set-config s01 ldapAgentPassword {{ password }}
occ ldap:set-config s01 ldapBase {{ directory.base|shell }}
occ ldap:set-config s01 ldapBaseUsers {{ directory.users|shell }}
occ ldap:set-config s01 ldapBaseGroups {{ directory.groups|shell }}
occ ldap:set-config s01 ldapUserFilter '(&(objectClass=inetOrgPerson)(ak-active=TRUE))'
occ ldap:set-config s01 ldapLoginFilter '(&(objectClass=inetOrgPerson)(|(uid=%uid)(mail=%uid)))'
occ ldap:set-config s01 ldapGroupFilter '(objectClass=groupOfNames)'
occ ldap:set-config s01 ldapUserDisplayName displayName
occ ldap:set-config s01 ldapGroupDisplayName cn
occ ldap:set-config s01 ldapEmailAttribute mail
occ ldap:set-config s01 ldapGroupMemberAssocAttr member
occ ldap:set-config s01 ldapExpertUsernameAttr uid
occ ldap:set-config s01 ldapExpertUUIDUserAttr entryUUID
occ ldap:set-config s01 ldapExpertUUIDGroupAttr entryUUID
occ ldap:set-config s01 ldapConfigurationActive 1
occ ldap:test-config s01

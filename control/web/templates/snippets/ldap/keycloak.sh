kcadm.sh create components -r myrealm -f - <<'END'
{
  "name": "garrison",
  "providerId": "ldap",
  "providerType": "org.keycloak.storage.UserStorageProvider",
  "config": {
    "enabled": ["true"],
    "vendor": ["other"],
    "editMode": ["READ_ONLY"],
    "importEnabled": ["true"],
    "connectionUrl": [{{ directory.ldaps|json_text }}],
    "useTruststoreSpi": ["always"],
    "authType": ["simple"],
    "bindDn": [{{ directory.bind_dn|json_text }}],
    "bindCredential": [{{ password|json_text }}],
    "usersDn": [{{ directory.users|json_text }}],
    "searchScope": ["1"],
    "pagination": ["true"],
    "usernameLDAPAttribute": ["uid"],
    "rdnLDAPAttribute": ["cn"],
    "uuidLDAPAttribute": ["entryUUID"],
    "userObjectClasses": ["inetOrgPerson, organizationalPerson"]
  }
}
END

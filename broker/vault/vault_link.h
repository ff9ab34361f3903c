/*
 * What the broker and its keystore helper agree on beside the messages.
 */
#ifndef BROKER_VAULT_VAULT_LINK_H
#define BROKER_VAULT_VAULT_LINK_H

#define VAULT_LINK_PROGRAM "streamhold-vault"
#define VAULT_LINK_FD 3
#define VAULT_LINK_ROLE "vault"

#endif

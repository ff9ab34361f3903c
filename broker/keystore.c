/*
 * keystore_get and keystore_move: both answer at once; a move goes on by itself and is
 * asked about with keystore_get. Called by dispatch.c.
 */
#include <errno.h>

#include "broker/keystore.h"
#include "broker/vault/vault.h"
#include "broker/vault/vault_move.h"
#include "common/log.h"

static void
answer(struct client *client, uint32_t rid)
{
	const struct vault *vault = client->broker->vault;
	const char *detail = vault_trouble(vault);
	struct vault_move_state move;

	vault_move_state(vault, &move);
	client_answer(client, rid,
	    &(const struct proto_msg){
		.type = MSG_keystore,
		.keystore = {
			.backend = vault_backend(vault),
			.state = vault_state(vault),
			.detail = detail ? detail : "",
			.key_file = client->broker->paths.key_file,
			.moving = move.to ? move.to : "",
			.moved = move.moved,
			.unreadable = move.unreadable,
			.trouble = move.trouble,
		},
	    });
}

void
on_keystore_get(struct client *client, struct proto_msg *msg)
{
	answer(client, msg->rid);
}

void
on_keystore_move(struct client *client, struct proto_msg *msg)
{
	char error[VAULT_ERROR_SIZE];

	if (vault_move_start(client->broker->vault, msg->keystore_move.to, error) < 0) {
		client_fail(client, msg->rid, ERR_invalid_request, error);
		return;
	}
	log_info("vault", "uid %u asks to move all secrets (%s)", (unsigned)client->uid,
	    log_quote(msg->keystore_move.to));
	answer(client, msg->rid);
}

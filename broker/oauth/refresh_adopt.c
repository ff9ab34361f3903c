/*
 * Refreshes that were cut off, before the token is sent once more: where each secret is
 * an item of a keyring, the fresh tokens are written there before the transaction that
 * refers to them, and a crash in between leaves an item that no row knows. At a
 * platform whose refresh tokens work once, that item is all there is left of the login.
 *
 *   look   for a value of the account's secret that is younger than the note
 *   adopt  as if the platform had just answered with it: sealed anew, read back,
 *          stored, and in the same transaction the note goes (refresh_keep.c)
 *
 * The item that was found is erased after that. Called by refresh.c.
 */
#include <errno.h>

#include "broker/oauth/refresh_run.h"
#include "broker/vault/vault.h"
#include "common/log.h"

static void on_found(void *, int, uint64_t, struct secret *);
static void adopt(struct refresh *, uint64_t, struct tokens *);

/* Generations are wall clock ms or above: one that is not above the time of the note
 * belongs to something older. */
void
refresh_look(struct refresh *refresh)
{
	uint64_t after = (uint64_t)refresh->noted_at - 1;

	if (after < refresh->generation)
		after = refresh->generation;
	flow_step(&refresh->flow, "look");
	steps_wait_vault(&refresh->flow,
	    vault_find(refresh->flow.broker->vault, refresh->secret_name, after,
		on_found, refresh));
}

/* Nothing is sent before the keyring has said that it has no such item. */
static void
on_found(void *arg, int result, uint64_t generation, struct secret *plain)
{
	struct refresh *refresh = arg;
	struct tokens fresh = { .access = SECRET_NONE };

	flow_resume(&refresh->flow);
	if (result == 0 && tokens_unpack(plain, &fresh) < 0) {
		log_warning("oauth",
		    "an item of the keyring that may have had fresh tokens of '%s' at "
		    "%s cannot be read; continuing without it",
		    log_quote(refresh->username), refresh->platform->name);
		result = -ENOENT;
	}
	if (result == 0 && fresh.access.length && fresh.refresh.length)
		adopt(refresh, generation, &fresh);
	else if (result == 0 || result == -ENOENT)
		refresh_go_on(refresh);
	else
		refresh_fail_vault(refresh, result);
	tokens_clear(&fresh);
}

/* Scopes and life are not in the item: the scopes stay as they are known, the life is
 * asked for and assumed to have begun with the note. */
static void
adopt(struct refresh *refresh, uint64_t generation, struct tokens *fresh)
{
	log_info("oauth",
	    "the fresh tokens of '%s' at %s that the refresh had brought before it was "
	    "cut off are in the keyring and are kept",
	    log_quote(refresh->username), refresh->platform->name);
	broker_count(refresh->flow.broker, "refresh_adopted", 1);
	refresh->adopted = generation;
	refresh->reply.access = secret_move(&fresh->access);
	refresh->reply.refresh = secret_move(&fresh->refresh);
	refresh->asked_at = refresh->noted_at;
	refresh_keep(refresh);
}

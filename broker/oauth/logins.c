/*
 * Logins in memory. Owned by broker->accounts; used by login_start.c, login_finish.c
 * and login_wait.c.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/logins.h"
#include "common/alloc.h"
#include "common/text.h"
#include "common/time.h"

static void answer(struct login_entry *, struct login_wait *);
static void answer_all(struct login_entry *);
static void entry_free(struct logins *, struct login_entry *);

void
logins_init(struct logins *logins)
{
	*logins = (struct logins){ .pending = 0 };
	TAILQ_INIT(&logins->entries);
}

void
logins_clear(struct logins *logins)
{
	while (!TAILQ_EMPTY(&logins->entries))
		entry_free(logins, TAILQ_FIRST(&logins->entries));
}

static void
entry_free(struct logins *logins, struct login_entry *login)
{
	if (login->ended)
		logins->ended--;
	else
		logins->pending--;
	TAILQ_REMOVE(&logins->entries, login, entry);
	free(login->sentence);
	free((char *)(uintptr_t)login->finished.platform);
	free((char *)(uintptr_t)login->finished.username);
	free((char *)(uintptr_t)login->finished.identity);
	free((char *)(uintptr_t)login->finished.scopes);
	free((char *)(uintptr_t)login->finished.missing_scopes);
	free((char *)(uintptr_t)login->finished.unmet);
	free((char *)(uintptr_t)login->finished.warning);
	free(login);
}

void
logins_hash(const void *state, size_t length, uint8_t hash[CRYPTO_SHA256_SIZE])
{
	crypto_sha256(state, length, hash);
}

bool
logins_is_full(const struct logins *logins)
{
	return logins->pending + logins->starting >= LOGINS_MAX;
}

char *
login_verifier_name(const uint8_t *hash)
{
	char text[2 * CRYPTO_SHA256_SIZE + 1];

	hex_encode(hash, CRYPTO_SHA256_SIZE, text);
	return xasprintf("login/%s", text);
}

void
logins_add(struct logins *logins, const uint8_t *hash, const struct platform *platform,
    int64_t expires_at)
{
	struct login_entry *login = xcalloc(1, sizeof(*login));

	memcpy(login->hash, hash, sizeof(login->hash));
	login->platform = platform;
	login->until = expires_at;
	LIST_INIT(&login->waits);
	TAILQ_INSERT_TAIL(&logins->entries, login, entry);
	logins->pending++;
}

struct login_entry *
logins_find(struct logins *logins, const uint8_t *hash)
{
	struct login_entry *login;

	TAILQ_FOREACH (login, &logins->entries, entry)
		if (memcmp(login->hash, hash, sizeof(login->hash)) == 0)
			return login;
	return NULL;
}

bool
logins_is_pending(
    struct logins *logins, const uint8_t *hash, const struct platform *platform)
{
	const struct login_entry *login = logins_find(logins, hash);

	return login && !login->ended && login->platform == platform &&
	    login->until > time_now_ms();
}

/* NULL when there is nothing to end. */
static struct login_entry *
end(struct logins *logins, const uint8_t *hash)
{
	struct login_entry *login = logins_find(logins, hash);
	struct login_entry *oldest;

	if (!login || login->ended)
		return NULL;
	login->ended = true;
	login->until = time_now_ms() + LOGINS_ENDED_MS;
	logins->pending--;
	logins->ended++;
	if (logins->ended <= LOGINS_ENDED_MAX)
		return login;
	TAILQ_FOREACH (oldest, &logins->entries, entry) {
		if (oldest->ended && oldest != login) {
			entry_free(logins, oldest);
			break;
		}
	}
	return login;
}

void
logins_end(struct logins *logins, const uint8_t *hash,
    const struct proto_login_finished *finished)
{
	struct login_entry *login = end(logins, hash);

	if (!login)
		return;
	login->finished = (struct proto_login_finished){
		.platform = xstrdup(finished->platform),
		.username = xstrdup(finished->username),
		.identity = xstrdup(finished->identity),
		.scopes = xstrdup(finished->scopes),
		.missing_scopes = xstrdup(finished->missing_scopes),
		.unmet = finished->unmet ? xstrdup(finished->unmet) : NULL,
		.warning = finished->warning ? xstrdup(finished->warning) : NULL,
	};
	answer_all(login);
}

void
logins_end_failed(struct logins *logins, const uint8_t *hash, enum proto_error error,
    const char *sentence)
{
	struct login_entry *login = end(logins, hash);

	if (!login)
		return;
	login->error = error;
	login->sentence = sentence ? xstrdup(sentence) : NULL;
	answer_all(login);
}

void
logins_wait(struct login_entry *login, struct login_wait *wait)
{
	LIST_INSERT_HEAD(&login->waits, wait, entry);
	if (login->ended)
		answer(login, wait);
}

/* Ending the flow takes it from the list: login_wait.c. */
static void
answer(struct login_entry *login, struct login_wait *wait)
{
	struct proto_msg message = { .type = MSG_login_finished,
		.login_finished = login->finished };

	if (login->error == ERR_none)
		flow_answer(&wait->flow, &message);
	else
		flow_fail(&wait->flow, login->error, login->sentence);
}

static void
answer_all(struct login_entry *login)
{
	while (!LIST_EMPTY(&login->waits))
		answer(login, LIST_FIRST(&login->waits));
}

void
logins_purge(struct logins *logins, int64_t now)
{
	struct login_entry *login = TAILQ_FIRST(&logins->entries);

	while (login) {
		struct login_entry *next = TAILQ_NEXT(login, entry);

		if (login->until <= now) {
			login->error = ERR_timed_out;
			answer_all(login);
			entry_free(logins, login);
		}
		login = next;
	}
}

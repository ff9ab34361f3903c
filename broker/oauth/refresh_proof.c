/*
 * The refresh token before the one in use: kept sealed by itself from a refresh until
 * the platform has taken the new access token once, since until then the new pair may
 * be one that the platform does not know. Erased then.
 *
 * Called by whatever has seen a token work: checks, look-ups, calls.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/refresh.h"
#include "broker/oauth/steps.h"
#include "broker/store/store_refresh.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"

struct proof_job {
	struct steps_job steps; /* without a flow */
	const struct platform *platform;
	char *username_key;
	char *previous_name;
	uint64_t generation;
	bool found;
};

static int run_proof(struct store_job *, struct db *);
static void on_proof(struct store_job *, int);

void
refresh_proven(
    struct broker *broker, const struct account *account, uint64_t generation)
{
	struct account *own =
	    accounts_find(broker->accounts, account->platform, account->row.username);
	struct proof_job *job;

	if (own->row.generation != generation || own->plan.proven == generation)
		return;
	own->plan.proven = generation;
	job = xcalloc(1, sizeof(*job));
	job->steps.broker = broker;
	job->steps.job = (struct store_job){ .run = run_proof, .done = on_proof };
	job->platform = own->platform;
	job->username_key = xstrdup(own->row.username_key);
	job->previous_name = accounts_previous_name(own->platform, own->row.username);
	job->generation = generation;
	store_submit(broker->store, &job->steps.job);
}

/* Of other tokens than those that worked nothing is known. */
static int
run_proof(struct store_job *store_job, struct db *db)
{
	struct proof_job *job = (struct proof_job *)store_job;
	struct buf sealed = BUF_EMPTY;
	uint64_t generation = 0;
	int result =
	    store_secret_get(db, job->previous_name, &job->found, &generation, &sealed);

	buf_clear(&sealed);
	job->found = result == 0 && job->found && generation == job->generation;
	return job->found ? store_secret_delete(db, job->previous_name) : result;
}

static void
on_proof(struct store_job *store_job, int result)
{
	struct proof_job *job = (struct proof_job *)store_job;
	struct broker *broker = job->steps.broker;
	struct account *account =
	    accounts_find(broker->accounts, job->platform, job->username_key);

	if (result == 0 && job->found) {
		vault_forget(broker->vault, job->previous_name, job->generation);
		log_debug("oauth", "the tokens of '%s' at %s are proven",
		    log_quote(job->username_key), job->platform->name);
	}
	/* The next proof tries again. */
	if (result < 0 && account && account->plan.proven == job->generation)
		account->plan.proven = 0;
	free(job->username_key);
	free(job->previous_name);
	free(job);
}

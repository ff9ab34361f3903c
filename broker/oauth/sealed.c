/*
 * One stored secret, from its name to the plain bytes:
 *
 *   load
 *   unseal
 *
 * Called by the flows that need one secret. Owns its memory until the flow is told or
 * has ended.
 */
#include <stdlib.h>

#include "broker/oauth/sealed.h"
#include "broker/oauth/steps.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"

struct opening {
	struct steps_job steps;
	struct flow *flow;
	struct vault_call *call;
	char *name;
	bool found;
	uint64_t generation;
	struct buf sealed;
	sealed_done_fn *done;
};

static int run_load(struct store_job *, struct db *);
static void on_loaded(struct store_job *, int);
static void unseal(struct opening *);
static void cancel_unseal(void *);
static void on_unsealed(void *, int, struct secret *);

void
sealed_open(struct flow *flow, char *name, sealed_done_fn *done)
{
	struct opening *opening = xcalloc(1, sizeof(*opening));

	flow_step(flow, "load");
	opening->flow = flow;
	opening->name = name;
	opening->done = done;
	steps_submit(flow, &opening->steps, run_load, on_loaded);
}

static int
run_load(struct store_job *store_job, struct db *db)
{
	struct opening *opening = (struct opening *)store_job;

	return store_secret_get(
	    db, opening->name, &opening->found, &opening->generation, &opening->sealed);
}

static void
free_opening(struct opening *opening)
{
	free(opening->name);
	buf_clear(&opening->sealed);
	free(opening);
}

static void
on_loaded(struct store_job *store_job, int result)
{
	struct opening *opening = (struct opening *)store_job;
	struct flow *flow = steps_done(&opening->steps);
	const struct sealed sealed = { .end = result < 0 ? SEALED_store : SEALED_absent,
		.result = result };

	if (flow && result == 0 && opening->found) {
		unseal(opening);
		return;
	}
	if (flow)
		opening->done(flow, &sealed);
	free_opening(opening);
}

static void
unseal(struct opening *opening)
{
	struct flow *flow = opening->flow;

	flow_step(flow, "unseal");
	opening->call = vault_unseal(flow->broker->vault, opening->name,
	    opening->generation, buf_bytes(&opening->sealed),
	    buf_length(&opening->sealed), on_unsealed, opening);
	flow_wait(flow, cancel_unseal, opening);
}

static void
cancel_unseal(void *arg)
{
	struct opening *opening = arg;

	vault_cancel(opening->call);
	free_opening(opening);
}

static void
on_unsealed(void *arg, int result, struct secret *plain)
{
	struct opening *opening = arg;
	const struct sealed sealed = {
		.end = result < 0 ? SEALED_vault : SEALED_opened,
		.result = result,
		.generation = opening->generation,
		.plain = plain,
	};

	flow_resume(opening->flow);
	opening->done(opening->flow, &sealed);
	free_opening(opening);
}

void
sealed_fail(struct flow *flow, const struct sealed *sealed)
{
	if (sealed->end == SEALED_store)
		steps_fail_store(flow, sealed->result);
	else
		steps_fail_vault(flow, sealed->result);
}

/*
 * Removes items of this database that it does not refer to: what a crash between
 * writing an item and the commit left behind, and what has been moved elsewhere.
 *
 *   list    the items of this database
 *   ask     which of them a row refers to
 *   erase   the others, one by one
 *
 * An item younger than `age_s` may belong to a transaction that is still to come. Fresh
 * tokens of a refresh that was cut off count as referred to until it is known what came
 * of that: they may be the only ones that work.
 */
#include <stdlib.h>

#include <event2/event.h>

#include "broker/vault/vault_child.h"
#include "broker/vault/vault_inner.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

struct item {
	char *name;
	uint64_t generation;
};

struct vault_sweep {
	struct vault *vault; /* NULL: it was closed */
	uint64_t age_s;
	bool then_close;
	struct item *items;
	size_t count;
	size_t at;
	uint64_t erased;
	struct vault_child_call *call;
};

struct ask_job {
	struct store_job job;
	struct vault_sweep *sweep;
};

void
vault_sweep_free(struct vault_sweep *sweep)
{
	if (!sweep)
		return;
	if (sweep->call)
		vault_child_cancel(sweep->call);
	while (sweep->count > 0)
		free(sweep->items[--sweep->count].name);
	free(sweep->items);
	free(sweep);
}

static void
end(struct vault_sweep *sweep)
{
	struct vault *vault = sweep->vault;
	bool then_close = sweep->then_close && sweep->at == sweep->count;

	if (sweep->erased)
		log_info("vault", "%llu items were removed from the keyring",
		    (unsigned long long)sweep->erased);
	if (sweep->at < sweep->count)
		log_warning("vault",
		    "%zu items that are not needed any more could not be removed from "
		    "the keyring; continuing",
		    sweep->count - sweep->at);
	vault->sweep = NULL;
	vault_sweep_free(sweep);
	if (then_close && !vault->move)
		event_active(vault->close_child, EV_TIMEOUT, 0);
}

static void on_erased(void *arg, int result, struct proto_msg *answer);

static void
erase_next(struct vault_sweep *sweep)
{
	const struct item *item;

	while (sweep->at < sweep->count && !sweep->items[sweep->at].name)
		sweep->at++;
	if (sweep->at == sweep->count) {
		end(sweep);
		return;
	}
	item = &sweep->items[sweep->at];
	sweep->call = vault_child_ask(sweep->vault->child, MSG_vault_erase, item->name,
	    item->generation, NULL, on_erased, sweep);
	if (!sweep->call)
		end(sweep);
}

static void
on_erased(void *arg, int result, struct proto_msg *answer)
{
	struct vault_sweep *sweep = arg;

	(void)answer;
	sweep->call = NULL;
	if (result < 0) {
		end(sweep);
		return;
	}
	sweep->erased++;
	sweep->at++;
	erase_next(sweep);
}

/* An item that is referred to loses its name here. */
static int
run_ask(struct store_job *store_job, struct db *db)
{
	struct vault_sweep *sweep = ((struct ask_job *)store_job)->sweep;
	int result = 0;
	size_t i;

	for (i = 0; i < sweep->count && result == 0; i++) {
		struct item *item = &sweep->items[i];
		bool referred = true;

		result =
		    store_sealed_refers(db, item->name, item->generation, &referred);
		if (result == 0 && referred) {
			free(item->name);
			item->name = NULL;
		}
	}
	return result;
}

static void
on_asked(struct store_job *store_job, int result)
{
	struct ask_job *job = (struct ask_job *)store_job;
	struct vault_sweep *sweep = job->sweep;

	free(job);
	if (result < 0)
		end(sweep);
	else
		erase_next(sweep);
}

static void
add_item(struct vault_sweep *sweep, const struct proto_vault_item *item)
{
	uint64_t now_s = (uint64_t)(time_now_ms() / 1000);

	if (sweep->age_s && item->created + sweep->age_s > now_s)
		return;
	sweep->items =
	    xrealloc(sweep->items, (sweep->count + 1) * sizeof(*sweep->items));
	sweep->items[sweep->count++] =
	    (struct item){ xstrdup(item->name), item->generation };
}

static void
on_listed(void *arg, int result, struct proto_msg *answer)
{
	struct vault_sweep *sweep = arg;
	struct ask_job *job;

	if (result == 1) {
		add_item(sweep, &answer->vault_item);
		return;
	}
	sweep->call = NULL;
	if (result < 0)
		sweep->then_close = false; /* what is left is not known */
	if (result < 0 || sweep->count == 0) {
		end(sweep);
		return;
	}
	job = xcalloc(1, sizeof(*job));
	job->job.run = run_ask;
	job->job.done = on_asked;
	job->sweep = sweep;
	store_submit(sweep->vault->store, &job->job);
}

void
vault_sweep(struct vault *vault, uint64_t age_s, bool then_close)
{
	struct vault_sweep *sweep;

	if (vault->sweep || !vault->child)
		return;
	sweep = xcalloc(1, sizeof(*sweep));
	sweep->vault = vault;
	sweep->age_s = age_s;
	sweep->then_close = then_close;
	vault->sweep = sweep;
	sweep->call = vault_child_ask(
	    vault->child, MSG_vault_list, NULL, 0, NULL, on_listed, sweep);
	if (!sweep->call)
		end(sweep);
}

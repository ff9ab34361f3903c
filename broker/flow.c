/*
 * Requests in progress: their life, their one answer, and the counts per step that the
 * state dump shows. Used by every flow file.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/dispatch.h"
#include "broker/flow.h"
#include "common/log.h"
#include "common/time.h"

static LIST_HEAD(all_flows, flow) all_flows = LIST_HEAD_INITIALIZER(all_flows);

/* Takes the flow out of every list, stops its wait and frees it. */
static void
end(struct flow *flow)
{
	flow_cancel_fn *cancel = flow->cancel;

	log_debug("flow", "%s %llu ends at step '%s'", flow->kind,
	    (unsigned long long)flow->number, flow->step);
	flow->cancel = NULL;
	if (cancel)
		cancel(flow->cancel_arg);
	if (flow->client)
		LIST_REMOVE(flow, of_client);
	LIST_REMOVE(flow, of_all);
	event_free(flow->deadline);
	flow->release(flow);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct flow *flow = arg;

	(void)fd;
	(void)what;
	log_warning("flow", "%s %llu took too long at step '%s'", flow->kind,
	    (unsigned long long)flow->number, flow->step);
	flow_fail(flow, ERR_timed_out, NULL);
}

void
flow_init(struct flow *flow, struct broker *broker, struct client *client, uint32_t rid,
    const char *kind, unsigned deadline_ms, flow_release_fn *release)
{
	const struct timeval wait = { .tv_sec = deadline_ms / 1000,
		.tv_usec = (deadline_ms % 1000) * 1000 };

	flow->broker = broker;
	flow->client = client;
	flow->rid = rid;
	flow->number = ++broker->flow_number;
	flow->kind = kind;
	flow->step = "start";
	flow->since = time_boot_ms();
	flow->release = release;
	flow->deadline = event_new(broker->base, -1, 0, on_deadline, flow);
	if (!flow->deadline)
		abort();
	event_add(flow->deadline, &wait);
	if (client)
		LIST_INSERT_HEAD(&client->flows, flow, of_client);
	LIST_INSERT_HEAD(&all_flows, flow, of_all);
}

void
flow_step(struct flow *flow, const char *step)
{
	flow->step = step;
	flow->since = time_boot_ms();
	log_debug(
	    "flow", "%s %llu: %s", flow->kind, (unsigned long long)flow->number, step);
}

void
flow_wait(struct flow *flow, flow_cancel_fn *cancel, void *arg)
{
	assert(!flow->cancel);
	flow->cancel = cancel;
	flow->cancel_arg = arg;
}

void
flow_resume(struct flow *flow)
{
	assert(flow->cancel);
	flow->cancel = NULL;
	flow->cancel_arg = NULL;
}

void
flow_row(struct flow *flow, const struct proto_msg *row)
{
	if (flow->client)
		client_answer(flow->client, flow->rid, row);
}

void
flow_answer(struct flow *flow, const struct proto_msg *answer)
{
	if (flow->client)
		client_answer(flow->client, flow->rid, answer);
	end(flow);
}

void
flow_fail(struct flow *flow, enum proto_error error, const char *sentence)
{
	if (flow->client)
		client_fail(flow->client, flow->rid, error, sentence);
	end(flow);
}

void
flows_client_gone(struct client *client)
{
	struct flow *flow;

	while ((flow = LIST_FIRST(&client->flows))) {
		if (flow->outlives_client) {
			LIST_REMOVE(flow, of_client);
			flow->client = NULL;
		} else {
			end(flow);
		}
	}
}

void
flows_end(struct broker *broker)
{
	struct flow *flow;

	(void)broker;
	while ((flow = LIST_FIRST(&all_flows)))
		flow_fail(flow,
		    flow->outlives_client ? ERR_outcome_unknown : ERR_broker_away,
		    NULL);
}

void
flows_count(flow_count_fn *each, void *arg)
{
	struct flow *flow;
	struct flow *other;
	unsigned count;
	bool first;

	/* Steps are few and static, so each is counted where it comes up first. */
	LIST_FOREACH (flow, &all_flows, of_all) {
		count = 0;
		first = true;
		LIST_FOREACH (other, &all_flows, of_all) {
			if (strcmp(other->kind, flow->kind) != 0 ||
			    strcmp(other->step, flow->step) != 0)
				continue;
			if (count++ == 0)
				first = other == flow;
		}
		if (first)
			each(arg, flow->kind, flow->step, count);
	}
}

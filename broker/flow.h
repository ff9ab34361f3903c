/*
 * A request in progress: one object with a named step, a deadline and exactly one
 * answer (docs/architecture.md, "Flows").
 *
 * A flow embeds struct flow as its first member and is made by its own start function,
 * which returns nothing: the flow may have answered already. It waits on at most one
 * thing, told by flow_wait, so that ending it is one call. It ends by flow_answer,
 * flow_fail, its deadline (ERR_timed_out) or the client's going; in each case the wait
 * is cancelled and `release` is called once to free the flow.
 */
#ifndef BROKER_FLOW_H
#define BROKER_FLOW_H

#include <stdint.h>
#include <sys/queue.h>

#include "broker/broker.h"
#include "proto/proto.h"

struct event;
struct flow;

typedef void flow_release_fn(struct flow *flow);
typedef void flow_cancel_fn(void *arg);

struct flow {
	struct broker *broker;
	struct client *client; /* NULL once nobody waits for the answer */
	uint32_t rid;
	uint64_t number;  /* on every debug line of the flow */
	const char *kind; /* static, the name of the request */
	const char *step; /* static */
	int64_t since;    /* boot-time ms of the step */
	flow_release_fn *release;
	flow_cancel_fn *cancel; /* NULL: waits on nothing */
	void *cancel_arg;
	struct event *deadline;
	bool outlives_client; /* goes on when its client goes (work already sent out) */
	LIST_ENTRY(flow) of_client;
	LIST_ENTRY(flow) of_all;
};

/* Fills in a fresh flow. `kind` and steps are static texts. deadline_ms is counted from
 * here. */
void flow_init(struct flow *flow, struct broker *broker, struct client *client,
    uint32_t rid, const char *kind, unsigned deadline_ms, flow_release_fn *release);

/* Names the step that begins. Logged at debug, counted in the state dump. */
void flow_step(struct flow *flow, const char *step);

/* Says what the flow waits on: `cancel(arg)` stops it without a callback. flow_resume
 * says that the wait is over; every callback that continues a flow calls it first. */
void flow_wait(struct flow *flow, flow_cancel_fn *cancel, void *arg);
void flow_resume(struct flow *flow);

/* Sends one row of a list. */
void flow_row(struct flow *flow, const struct proto_msg *row);

/* Sends the answer and ends the flow, which must not be touched afterwards. */
void flow_answer(struct flow *flow, const struct proto_msg *answer);

/* The same with a `failed` message. `sentence` is for a person; NULL takes the meaning
 * in errors.def. */
void flow_fail(struct flow *flow, enum proto_error error, const char *sentence);

/* Ends the flows of a client that went, except those that outlive it. */
void flows_client_gone(struct client *client);

/* Ends all flows at shutdown: with ERR_broker_away, and those that outlive their client
 * with ERR_outcome_unknown, since what they sent out may come to something yet. */
void flows_end(struct broker *broker);

/* Calls `each` for every step of every kind that has flows in it. */
typedef void
flow_count_fn(void *arg, const char *kind, const char *step, unsigned count);
void flows_count(flow_count_fn *each, void *arg);

#endif

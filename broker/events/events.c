/*
 * events_list, from request to answer:
 *
 *   wait    until fewer than EVENTS_READS_MAX others are being read
 *   read    a slice of rows on the database's thread; again while nothing has matched
 *   answer  an `event` row each, its further bytes as `event_part`, then `list_end`
 *
 * event_get does the same for one event. Readers wait for each other so that any number
 * of them holds no more memory, and delays what is to be stored no longer, than a few.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/events.h"
#include "broker/flow.h"
#include "broker/store/store_event.h"
#include "common/alloc.h"

#define DEADLINE_MS 4500
#define PART_MAX 32768 /* messages.def, event.payload */

struct events_flow;

/* The job outlives a flow that is cancelled, so it holds its own copies. */
struct events_job {
	struct store_job job;
	struct events_flow *flow; /* gone once cancelled */
	struct store *store;
	struct proto_msg msg; /* the request */
	struct store_event_query query;
	struct store_event *events;
	int count;
	uint64_t seen;
	bool end;
	bool reading; /* given to the database; else in `waiting` */
	TAILQ_ENTRY(events_job) entry;
};

struct events_flow {
	struct flow flow;
};

static TAILQ_HEAD(waiting_jobs, events_job) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned reading;

static void read_slice(struct events_flow *flow, struct events_job *job);

static void
job_free(struct events_job *job)
{
	int i;

	for (i = 0; i < job->count; i++)
		store_event_clear(&job->events[i]);
	free(job->events);
	proto_clear(&job->msg);
	free(job);
}

/* The turn of those that wait, oldest first. */

static void
read_next(struct store *store)
{
	struct events_job *job;

	while (reading < EVENTS_READS_MAX && (job = TAILQ_FIRST(&waiting))) {
		TAILQ_REMOVE(&waiting, job, entry);
		job->reading = true;
		reading++;
		flow_step(&job->flow->flow, "read");
		store_submit(store, &job->job);
	}
}

/* The database is done with a job. */
static void
read_over(struct events_job *job)
{
	job->reading = false;
	reading--;
}

static void
discard(struct store_job *base, int result)
{
	struct events_job *job = (struct events_job *)base;

	read_over(job);
	if (result != -ECANCELED) /* the store still takes jobs */
		read_next(job->store);
	job_free(job);
}

static void
cancel(void *arg)
{
	struct events_job *job = arg;

	if (job->reading) {
		store_abandon(&job->job, discard);
		return;
	}
	TAILQ_REMOVE(&waiting, job, entry);
	job_free(job);
}

static void
release(struct flow *flow)
{
	free(flow);
}

/* Answer. */

static void
flags_text(uint32_t flags, char *text, size_t size)
{
	(void)snprintf(text, size, "%s%s%s%s", flags & EVENT_FOREIGN ? " foreign" : "",
	    flags & EVENT_UNKNOWN ? " unknown" : "",
	    flags & EVENT_DAMAGED ? " damaged" : "", flags & EVENT_OWN ? " own" : "");
}

static void
send_event(struct flow *flow, const struct store_event *event)
{
	const uint8_t *body = buf_bytes(&event->body);
	size_t length = buf_length(&event->body);
	size_t sent = length < PART_MAX ? length : PART_MAX;
	struct proto_msg part = { .type = MSG_event_part };
	char flags[64];

	flags_text(event->flags, flags, sizeof(flags));
	flow_row(flow,
	    &(const struct proto_msg){ .type = MSG_event,
		.event = { .seq = event->seq,
		    .id = event->message_id,
		    .platform = event->platform,
		    .type = event->type,
		    .version = event->version,
		    .received_at = (uint64_t)event->received_at,
		    .occurred_at = (uint64_t)event->occurred_at,
		    .broadcaster_id = event->broadcaster_id,
		    .broadcaster_name = event->broadcaster_name,
		    .flags = flags[0] ? flags + 1 : "",
		    .json = !(event->flags & EVENT_NOT_JSON),
		    .payload_length = (uint32_t)length,
		    .payload = { .data = body, .length = sent } } });
	for (; sent < length; sent += part.event_part.payload.length) {
		part.event_part.payload = (struct proto_bytes){ .data = body + sent,
			.length = length - sent < PART_MAX ? length - sent : PART_MAX };
		flow_row(flow, &part);
	}
}

/* Whether the peer has so much to read that a page has to be asked for again. */
static bool
fail_busy(struct events_flow *flow, struct events_job *job)
{
	if (chan_backlog(flow->flow.client->chan) <= EVENTS_BACKLOG_MAX)
		return false;
	job_free(job);
	flow_fail(&flow->flow, ERR_busy, NULL);
	return true;
}

static void
answer(struct events_flow *flow, struct events_job *job)
{
	struct proto_msg last = { .type = MSG_list_end };
	int i;

	if (fail_busy(flow, job))
		return;
	flow_step(&flow->flow, "answer");
	for (i = 0; i < job->count; i++)
		send_event(&flow->flow, &job->events[i]);
	last.list_end.next =
	    job->count ? job->events[job->count - 1].seq : job->msg.events_list.after;
	job_free(job);
	flow_answer(&flow->flow, &last);
}

/* Read a page. */

static int
run_page(struct store_job *base, struct db *db)
{
	struct events_job *job = (struct events_job *)base;
	int count =
	    store_event_page(db, &job->query, job->events, &job->seen, &job->end);

	if (count < 0)
		return count;
	job->count = count;
	return 0;
}

static void
done_page(struct store_job *base, int result)
{
	struct events_job *job = (struct events_job *)base;
	struct events_flow *flow = job->flow;
	struct store *store = job->store;

	read_over(job);
	flow_resume(&flow->flow);
	if (result < 0) {
		job_free(job);
		flow_fail(
		    &flow->flow, ERR_storage_failed, "the events could not be read");
	} else if (job->count == 0 && !job->end) {
		job->query.after = job->seen;
		read_slice(flow, job);
	} else {
		answer(flow, job);
	}
	if (result != -ECANCELED)
		read_next(store);
}

static void
read_slice(struct events_flow *flow, struct events_job *job)
{
	flow_step(&flow->flow, "wait");
	flow_wait(&flow->flow, cancel, job);
	TAILQ_INSERT_TAIL(&waiting, job, entry);
	read_next(job->store);
}

static struct events_job *
job_new(struct client *client, struct proto_msg *msg, const char *kind, uint32_t room,
    store_run_fn *run, store_done_fn *done)
{
	struct events_flow *flow = xcalloc(1, sizeof(*flow));
	struct events_job *job = xcalloc(1, sizeof(*job));

	flow_init(
	    &flow->flow, client->broker, client, msg->rid, kind, DEADLINE_MS, release);
	job->job = (struct store_job){ .run = run, .done = done };
	job->flow = flow;
	job->store = client->broker->store;
	job->msg = proto_move(msg);
	job->events = xcalloc(room, sizeof(*job->events));
	return job;
}

void
on_events_list(struct client *client, struct proto_msg *msg)
{
	struct events_job *job = job_new(
	    client, msg, "events_list", msg->events_list.limit, run_page, done_page);
	const struct proto_events_list *wanted = &job->msg.events_list;

	job->query = (struct store_event_query){ .after = wanted->after,
		.limit = wanted->limit,
		.bytes_max = EVENTS_PAGE_BYTES,
		.type = wanted->type,
		.platform = wanted->platform,
		.foreign = wanted->foreign };
	read_slice(job->flow, job);
}

/* Read one. */

static int
run_get(struct store_job *base, struct db *db)
{
	struct events_job *job = (struct events_job *)base;
	const struct proto_event_get *wanted = &job->msg.event_get;
	int result = store_event_get(db, wanted->seq, wanted->id, &job->events[0]);

	if (result < 0)
		return result;
	job->count = result;
	return 0;
}

static void
done_get(struct store_job *base, int result)
{
	struct events_job *job = (struct events_job *)base;
	struct events_flow *flow = job->flow;
	const struct proto_msg last = { .type = MSG_list_end };
	struct store *store = job->store;
	bool found = job->count > 0;

	read_over(job);
	if (result != -ECANCELED)
		read_next(store);
	flow_resume(&flow->flow);
	if (result == 0 && fail_busy(flow, job))
		return;
	if (result == 0 && found)
		send_event(&flow->flow, &job->events[0]);
	job_free(job);
	if (result < 0)
		flow_fail(
		    &flow->flow, ERR_storage_failed, "the event could not be read");
	else if (!found)
		flow_fail(
		    &flow->flow, ERR_not_found, "No event with that number or id");
	else
		flow_answer(&flow->flow, &last);
}

void
on_event_get(struct client *client, struct proto_msg *msg)
{
	struct events_job *job;

	if ((msg->event_get.seq == 0) == (msg->event_get.id == NULL)) {
		client_fail(
		    client, msg->rid, ERR_not_found, "No event with that number or id");
		return;
	}
	job = job_new(client, msg, "event_get", 1, run_get, done_get);
	read_slice(job->flow, job);
}

/*
 * `streamhold trigger`: sends synthetic deliveries through the whole way, and tells
 * what was answered and under which number each is stored.
 *
 * The broker makes and signs them; the private key stays there. The command sends them
 * to the webhook listener, as the platform would.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/cli/client.h"
#include "broker/cli/out.h"
#include "broker/cli/post.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/suggest.h"

#define COUNT_MAX 1000
#define VERDICT_SIZE 32

/* The types that can be made. */
static const char *const types[] = {
#define OPTION_EVENT(name) name,
#include "common/options.def"
};

#define TYPE_COUNT (sizeof(types) / sizeof(types[0]))

/* The ways in which deliveries can be odd, and what is answered when all is well. */
struct oddity {
	const char *name;
	const char *ask; /* of the broker */
	unsigned status;
	bool twice; /* sent again, and its content once more under another id */
};

static const struct oddity oddities[] = {
	{ "valid", "", 200, false },
	{ "bad-signature", "bad-signature", 401, false },
	{ "duplicate", "", 200, true },
	{ "late", "late", 200, false },
	{ "foreign", "foreign", 200, false },
	{ "unknown-version", "unknown-version", 200, false },
};

#define ODDITY_COUNT (sizeof(oddities) / sizeof(oddities[0]))

struct work {
	const struct cli *cli;
	const struct oddity *oddity;
	struct client *client;
	struct out_json json;
	uint64_t seq; /* of the event that was looked up, 0: none */
	bool as_expected;
};

/* ---- What was typed ---- */

static bool
check_type(const char *type)
{
	const char *near;
	size_t i;

	for (i = 0; i < TYPE_COUNT; i++)
		if (strcmp(types[i], type) == 0)
			return true;
	near = suggest_nearest(type, types, TYPE_COUNT);
	talk_error(NULL, "there is no event type '%s'%s%s%s; there are:", type,
	    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	for (i = 0; i < TYPE_COUNT; i++)
		talk("  %s", types[i]);
	talk_next("streamhold trigger %s", near ? near : types[0]);
	return false;
}

static const struct oddity *
find_oddity(const char *name)
{
	const char *names[ODDITY_COUNT];
	const char *near;
	size_t i;

	for (i = 0; i < ODDITY_COUNT; i++) {
		if (strcmp(oddities[i].name, name) == 0)
			return &oddities[i];
		names[i] = oddities[i].name;
	}
	near = suggest_nearest(name, names, ODDITY_COUNT);
	talk_error("streamhold trigger --help",
	    "--as takes bad-signature, duplicate, late, foreign or unknown-version, "
	    "not '%s'%s%s%s",
	    name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	return NULL;
}

/* ---- Output ---- */

/* The verdict of an answer; "refused" for everything that is no 200. */
static void
read_verdict(const struct post_reply *reply, char verdict[static VERDICT_SIZE])
{
	json_t *json =
	    json_loadb(reply->body, strlen(reply->body), JSON_REJECT_DUPLICATES, NULL);
	const char *status = json_string_value(json_object_get(json, "status"));

	(void)snprintf(verdict, VERDICT_SIZE, "%s",
	    reply->status != 200 ? "refused"
		: status         ? status
				 : "-");
	json_decref(json);
}

static void
print_text(const struct work *work, const struct proto_triggered *delivery,
    const struct post_reply *reply, const char *verdict)
{
	enum talk_color color =
	    reply->status == work->oddity->status ? TALK_GOOD : TALK_BAD;
	char number[WORDS_SIZE] = "-";

	if (work->seq)
		(void)snprintf(
		    number, sizeof(number), "#%llu", (unsigned long long)work->seq);
	(void)printf("%s%u %-10s%s %-8s %-34s %s  %llu ms\n", talk_on(work->cli, color),
	    reply->status, verdict, talk_off(work->cli, color), number, delivery->type,
	    delivery->message_id, (unsigned long long)reply->took_ms);
	(void)fflush(stdout);
}

static void
print_json(struct work *work, const struct proto_triggered *delivery,
    const struct post_reply *reply, const char *verdict)
{
	struct out_json *json = &work->json;

	out_json_open(json, NULL, '{');
	out_json_text(json, "id", delivery->message_id);
	out_json_text(json, "type", delivery->type);
	out_json_text(json, "as", work->oddity->name);
	out_json_number(json, "status", reply->status);
	out_json_text(json, "verdict", verdict);
	if (work->seq)
		out_json_number(json, "seq", work->seq);
	else
		out_json_null(json, "seq");
	out_json_number(json, "took_ms", reply->took_ms);
	out_json_close(json, '}');
}

/* ---- Work ---- */

static void
on_event(void *arg, struct proto_msg *row)
{
	if (row->type == MSG_event)
		((struct work *)arg)->seq = row->event.seq;
}

/* The number under which a delivery is stored. */
static int
look_up(struct work *work, const char *message_id)
{
	const struct proto_msg msg = { .type = MSG_event_get,
		.event_get = { .id = message_id } };
	const struct client_question question = { .msg = &msg,
		.deadline_ms = CLIENT_ANSWER_MS,
		.on_row = on_event,
		.arg = work };

	return client_ask(work->client, &question, NULL);
}

static int
deliver(struct work *work, const struct proto_triggered *delivery)
{
	char verdict[VERDICT_SIZE];
	struct post_reply reply;
	int result = post_delivery(delivery, &reply);
	int status = CLI_OK;

	if (result < 0) {
		talk_error("streamhold status", "nobody answers on http://%s:%u%s: %s",
		    delivery->host, delivery->port, delivery->path, strerror(-result));
		return CLI_FAILURE;
	}
	read_verdict(&reply, verdict);
	work->seq = 0;
	work->as_expected &= reply.status == work->oddity->status;
	if (reply.status == 200)
		status = look_up(work, delivery->message_id);
	if (work->cli->json)
		print_json(work, delivery, &reply, verdict);
	else
		print_text(work, delivery, &reply, verdict);
	return status;
}

/* `body` is that of an earlier one, or NULL. */
static int
ask(struct work *work, uint32_t number, const struct proto_bytes *body,
    struct proto_msg *ret_delivery)
{
	const struct proto_msg msg = { .type = MSG_trigger,
		.trigger = { .type = work->cli->words[0],
		    .as = work->oddity->ask,
		    .broadcaster = work->cli->broadcaster,
		    .number = number,
		    .body = body ? *body : (struct proto_bytes){ .data = NULL } } };
	const struct client_question question = {
		.msg = &msg, .deadline_ms = CLIENT_TRIGGER_MS, .arg = work
	};

	return client_ask(work->client, &question, ret_delivery);
}

/* The same once more, and then its content under an id of its own. */
static int
repeat(struct work *work, uint32_t number, const struct proto_triggered *first)
{
	struct proto_msg again = { .type = MSG_none };
	int status = deliver(work, first);

	if (status == CLI_OK)
		status = ask(work, number, &first->body, &again);
	if (status == CLI_OK)
		status = deliver(work, &again.triggered);
	proto_clear(&again);
	return status;
}

static int
trigger_one(struct work *work, uint32_t number)
{
	struct proto_msg delivery = { .type = MSG_none };
	int status = ask(work, number, NULL, &delivery);

	if (status == CLI_OK)
		status = deliver(work, &delivery.triggered);
	if (status == CLI_OK && work->oddity->twice)
		status = repeat(work, number, &delivery.triggered);
	proto_clear(&delivery);
	return status;
}

static int
trigger_all(struct work *work, uint64_t count)
{
	int status = CLI_OK;
	uint32_t number;

	out_json_start(&work->json);
	out_json_open(&work->json, "deliveries", '[');
	for (number = 1; number <= count && status == CLI_OK; number++)
		status = trigger_one(work, number);
	out_json_close(&work->json, ']');
	if (work->cli->json)
		out_json_finish(&work->json);
	else
		buf_clear(&work->json.text);
	if (status == CLI_OK && !work->as_expected) {
		talk_error("streamhold inspect",
		    "a delivery was not answered with %u, as it should have been",
		    work->oddity->status);
		status = CLI_FAILURE;
	}
	return status;
}

int
verb_trigger(struct cli *cli)
{
	struct work work = { .cli = cli,
		.oddity = find_oddity(cli->as ? cli->as : "valid"),
		.as_expected = true };
	uint64_t count = 1;
	int status;

	if (!work.oddity || !check_type(cli->words[0]) ||
	    (cli->count && !words_number("count", cli->count, 1, COUNT_MAX, &count)))
		return CLI_USAGE;
	status = client_open(cli, &work.client);
	if (status != CLI_OK)
		return status;
	status = trigger_all(&work, count);
	client_close(work.client);
	if (status == CLI_OK && !cli->json && work.oddity->status == 200)
		talk("Synthetic events are handed on only to those that ask: "
		     "include=synthetic.");
	return status;
}

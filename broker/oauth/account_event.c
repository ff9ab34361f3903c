/*
 * Events about logins. Called by refresh_reply.c when a login is lost and by
 * login_store.c when it is there again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/oauth/account_event.h"
#include "common/alloc.h"
#include "common/json_text.h"

static void
add_text(json_t *json, const char *name, const char *text)
{
	json_object_set_new(json, name, text ? json_string(text) : json_null());
}

static char *
make_body(const struct store_account *row)
{
	char since[TIME_TEXT_SIZE];
	json_t *json = json_object();
	char *text;

	add_text(json, "platform", row->platform);
	add_text(json, "username", row->username);
	add_text(json, "user_id", row->user_id);
	if (strcmp(row->status, STORE_ACCOUNT_LOST) == 0) {
		time_format(row->since, since);
		add_text(json, "status", row->status);
		add_text(json, "reason", row->reason);
		add_text(json, "since", since);
	} else {
		add_text(json, "status", "valid");
	}
	text = json_text(json);
	json_decref(json);
	return text ? text : xstrdup("{}");
}

void
account_event_make(
    struct account_event *event, const char *type, const struct store_account *row)
{
	event->platform = xstrdup(row->platform);
	event->username = xstrdup(row->username);
	event->user_id = row->user_id ? xstrdup(row->user_id) : NULL;
	event->type = type;
	event->now = time_now_ms();
	snprintf(event->id, sizeof(event->id), "%s.%" PRIu64, type, row->generation);
	event->body = make_body(row);
}

int
account_event_put(struct db *db, const struct account_event *event)
{
	const struct store_own_event own = {
		.platform = event->platform,
		.id = event->id,
		.type = event->type,
		.now = event->now,
		.broadcaster_id = event->user_id,
		.broadcaster_name = event->username,
		.body = event->body,
	};

	return event->type ? store_event_put_own(db, &own) : 0;
}

void
account_event_clear(struct account_event *event)
{
	free(event->platform);
	free(event->username);
	free(event->user_id);
	free(event->body);
	*event = (struct account_event){ .type = NULL };
}

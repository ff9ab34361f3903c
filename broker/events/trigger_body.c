/*
 * Templates of bodies, and what stands for what in them. Pure but for random ids.
 * Called by trigger.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/events/trigger_body.h"
#include "common/crypto.h"
#include "common/json_text.h"
#include "common/time.h"

/* People of the templates. */
#define VIEWER_ID_FIRST 987000000U
#define VIEWER_NAME "synthetic_viewer"
#define VIEWERS 1000000U
#define MONTH_MS (30LL * 24 * 60 * 60 * 1000)

/*
 * In a template:
 *   @B @b  the broadcaster, with all fields of a person or the five of newer types
 *   @P @p  the viewer, the same two forms
 *   @C     the viewer as the sender of a chat message
 *   @G     two people who were given something
 *   @t @m  now, and a month later
 *   @i @u  a new ULID, a new UUID
 *   @n     the number
 *   @r     the number of the viewer, which is random: nothing said twice is the same
 */
static const struct {
	const char *type;
	const char *body;
} templates[] = {
	{ "chat.message.sent",
	    "{\"message_id\":\"@u\",\"replies_to\":null,\"broadcaster\":@B,"
	    "\"sender\":@C,\"content\":\"[emote:4148074:HYPERCLAP] synthetic message "
	    "@n\",\"emotes\":[{\"emote_id\":\"4148074\","
	    "\"positions\":[{\"s\":0,\"e\":24}]}],\"created_at\":\"@t\"}" },
	{ "channel.followed", "{\"broadcaster\":@B,\"follower\":@P}" },
	{ "channel.subscription.new",
	    "{\"broadcaster\":@B,\"subscriber\":@P,\"duration\":1,"
	    "\"created_at\":\"@t\",\"expires_at\":\"@m\"}" },
	{ "channel.subscription.renewal",
	    "{\"broadcaster\":@B,\"subscriber\":@P,\"duration\":3,"
	    "\"created_at\":\"@t\",\"expires_at\":\"@m\"}" },
	{ "channel.subscription.gifts",
	    "{\"broadcaster\":@B,\"gifter\":@P,\"giftees\":@G,"
	    "\"created_at\":\"@t\",\"expires_at\":\"@m\"}" },
	{ "channel.reward.redemption.updated",
	    "{\"id\":\"@i\",\"user_input\":\"synthetic input @n\","
	    "\"status\":\"pending\",\"redeemed_at\":\"@t\","
	    "\"reward\":{\"id\":\"01KBHE78QE4HZY1617DK5FC7YD\",\"title\":\"Synthetic "
	    "reward\",\"cost\":1000,\"description\":\"A reward that is not there\"},"
	    "\"redeemer\":@p,\"broadcaster\":@b}" },
	{ "livestream.status.updated",
	    "{\"broadcaster\":@B,\"is_live\":true,\"title\":\"Synthetic stream @n "
	    "(@r)\","
	    "\"started_at\":\"@t\",\"ended_at\":null}" },
	{ "livestream.metadata.updated",
	    "{\"broadcaster\":@B,\"metadata\":{\"title\":\"Synthetic stream @n (@r)\","
	    "\"language\":\"en\",\"has_mature_content\":false,\"category\":{"
	    "\"id\":15,\"name\":\"Just Chatting\","
	    "\"thumbnail\":\"https://example.com/category.webp\"}}}" },
	{ "moderation.banned",
	    "{\"broadcaster\":@B,\"moderator\":@B,\"banned_user\":@P,"
	    "\"metadata\":{\"reason\":\"synthetic reason @n\","
	    "\"created_at\":\"@t\",\"expires_at\":null}}" },
	{ "kicks.gifted",
	    "{\"broadcaster\":@b,\"sender\":@p,\"gift\":{\"amount\":500,"
	    "\"name\":\"Rage Quit\",\"type\":\"LEVEL_UP\",\"tier\":\"MID\","
	    "\"message\":\"synthetic message @n\",\"pinned_time_seconds\":600},"
	    "\"created_at\":\"@t\"}" },
};

#define COUNT (sizeof(templates) / sizeof(templates[0]))

static const char *
template_of(const char *type)
{
	size_t i;

	for (i = 0; i < COUNT; i++)
		if (strcmp(templates[i].type, type) == 0)
			return templates[i].body;
	return NULL;
}

bool
trigger_body_has(const char *type)
{
	return template_of(type) != NULL;
}

void
trigger_body_types(struct buf *out)
{
	size_t i;

	for (i = 0; i < COUNT; i++)
		buf_printf(out, "%s%s", i ? ", " : "", templates[i].type);
}

/* Ids. */

void
trigger_ulid(int64_t now, char text[static TRIGGER_ULID_SIZE])
{
	static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	uint8_t random[TRIGGER_ULID_SIZE];
	uint64_t time = (uint64_t)now;
	int i;

	crypto_random(random, sizeof(random));
	for (i = 9; i >= 0; i--, time >>= 5)
		text[i] = alphabet[time & 31];
	for (i = 10; i < TRIGGER_ULID_SIZE - 1; i++)
		text[i] = alphabet[random[i] & 31];
	text[TRIGGER_ULID_SIZE - 1] = '\0';
}

static void
add_uuid(struct buf *out)
{
	uint8_t bytes[16];
	size_t i;

	crypto_random(bytes, sizeof(bytes));
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	for (i = 0; i < sizeof(bytes); i++)
		buf_printf(out, "%s%02x",
		    i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
}

/* People. */

static void
add_json_text(struct buf *out, const char *text)
{
	json_t *json = json_string(text);
	char *written = json_text(json);

	buf_add_text(out, written ? written : "\"\"");
	free(written);
	json_decref(json);
}

/* The form of a name in addresses: lower case, "_" as "-". */
static void
add_slug(struct buf *out, const char *name)
{
	char slug[128];
	size_t i;

	for (i = 0; name[i] && i < sizeof(slug) - 1; i++)
		slug[i] = (char)(name[i] == '_'            ? '-'
			: name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32
							   : name[i]);
	slug[i] = '\0';
	add_json_text(out, slug);
}

enum form { FORM_short, FORM_whole, FORM_sender };

static void
add_person(struct buf *out, const char *id, const char *name, enum form form)
{
	buf_printf(out, "{%s\"user_id\":%s,\"username\":",
	    form == FORM_short ? "" : "\"is_anonymous\":false,", id);
	add_json_text(out, name);
	buf_add_text(out,
	    ",\"is_verified\":true,\"profile_picture\":\"\","
	    "\"channel_slug\":");
	add_slug(out, name);
	if (form == FORM_sender)
		buf_add_text(out,
		    ",\"identity\":{\"username_color\":\"#FF5733\",\"badges\":["
		    "{\"text\":\"Moderator\",\"type\":\"moderator\"},"
		    "{\"text\":\"Subscriber\",\"type\":\"subscriber\",\"count\":3}]}");
	else if (form == FORM_whole)
		buf_add_text(out, ",\"identity\":null");
	buf_add_text(out, "}");
}

static void
add_giftees(struct buf *out)
{
	buf_add_text(out, "[");
	add_person(out, "987654322", "synthetic_giftee_1", FORM_whole);
	buf_add_text(out, ",");
	add_person(out, "987654323", "synthetic_giftee_2", FORM_whole);
	buf_add_text(out, "]");
}

/* Templates. */

static void
add_time(struct buf *out, int64_t ms)
{
	char text[TIME_TEXT_SIZE];

	time_format(ms, text);
	buf_add_text(out, text);
}

static void
add_ulid(struct buf *out, int64_t now)
{
	char text[TRIGGER_ULID_SIZE];

	trigger_ulid(now, text);
	buf_add_text(out, text);
}

static void
add_viewer(struct buf *out, uint32_t viewer, enum form form)
{
	char id[16];
	char name[64];

	(void)snprintf(id, sizeof(id), "%u", VIEWER_ID_FIRST + viewer);
	(void)snprintf(name, sizeof(name), VIEWER_NAME "_%u", viewer);
	add_person(out, id, name, form);
}

static void
add_value(
    struct buf *out, char letter, const struct trigger_values *values, uint32_t viewer)
{
	switch (letter) {
	case 'B':
	case 'b':
		add_person(out, values->broadcaster_id, values->broadcaster_name,
		    letter == 'B' ? FORM_whole : FORM_short);
		break;
	case 'P':
	case 'p':
		add_viewer(out, viewer, letter == 'P' ? FORM_whole : FORM_short);
		break;
	case 'C':
		add_viewer(out, viewer, FORM_sender);
		break;
	case 'r':
		buf_printf(out, "%u", viewer);
		break;
	case 'G':
		add_giftees(out);
		break;
	case 't':
		add_time(out, values->now);
		break;
	case 'm':
		add_time(out, values->now + MONTH_MS);
		break;
	case 'i':
		add_ulid(out, values->now);
		break;
	case 'u':
		add_uuid(out);
		break;
	case 'n':
		buf_printf(out, "%u", values->number);
		break;
	default:
		abort(); /* a template with a letter of no meaning */
	}
}

int
trigger_body_write(
    const char *type, const struct trigger_values *values, struct buf *out)
{
	const char *at = template_of(type);
	const char *mark;
	uint32_t viewer;

	if (!at)
		return -ENOENT;
	crypto_random(&viewer, sizeof(viewer));
	viewer %= VIEWERS;
	for (; (mark = strchr(at, '@')); at = mark + 2) {
		buf_add(out, at, (size_t)(mark - at));
		add_value(out, mark[1], values, viewer);
	}
	buf_add_text(out, at);
	return 0;
}

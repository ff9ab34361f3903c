/*
 * What consumers read of a Kick event beside its payload: who did it, and the fields of
 * its kind (docs/events.md). Called by event_json.c at hand-out, with bodies that are
 * JSON.
 *
 * Texts and numbers are copied as they stand in the body, escapes included: they were
 * found to be of the right types.
 */
#include <stdio.h>

#include "broker/events/kick_event.h"
#include "broker/events/kick_model.h"
#include "broker/events/mask.h"

#define PERSON_SLOTS USER_SLOTS

/* Parts. */

static bool
is_empty(struct json_slice slice)
{
	return json_slice_is_null(slice) || slice.length <= 2;
}

static void
put(struct json_out *json, const char *key, struct json_slice slice)
{
	if (json_slice_is_null(slice)) {
		out_null(json, key);
		return;
	}
	out_key(json, key);
	buf_add(json->buf, slice.start, slice.length);
}

/* A text; an empty one is as good as none. */
static void
put_text(struct json_out *json, const char *key, struct json_slice slice)
{
	put(json, key, is_empty(slice) ? (struct json_slice){ .start = NULL } : slice);
}

/* A number or a text, as text. */
static void
put_id(struct json_out *json, const char *key, struct json_slice slice)
{
	uint64_t number;
	char text[24];

	if (json_slice_is_null(slice) || slice.start[0] == '"') {
		put_text(json, key, slice);
		return;
	}
	if (!json_slice_id(slice, &number)) {
		out_null(json, key);
		return;
	}
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	out_text(json, key, text);
}

/* A time in our form. What was before 1970 means that there is none. */
static void
put_time(struct json_out *json, const char *key, struct json_slice slice)
{
	int64_t ms;

	if (!is_empty(slice) && json_slice_time(slice, &ms) && ms >= 0)
		out_time(json, key, (uint64_t)ms);
	else
		out_null(json, key);
}

static bool
is_true(struct json_slice slice)
{
	return slice.start && slice.start[0] == 't';
}

/* `slots` are those of the person. Whoever wants to be nobody is nobody, whatever else
 * the body says. */
static void
put_person(struct json_out *json, const char *key, const struct json_slice *slots)
{
	static const struct json_slice nothing[PERSON_SLOTS];
	bool anonymous = mask_says_anonymous(slots[USER_SELF]);
	const struct json_slice *shown = anonymous ? nothing : slots;

	if (json_slice_is_null(slots[USER_SELF])) {
		out_null(json, key);
		return;
	}
	out_object(json, key);
	put_id(json, "id", shown[USER_ID]);
	put_text(json, "name", shown[USER_NAME]);
	put_text(json, "slug", shown[USER_SLUG]);
	out_flag(json, "anonymous", anonymous);
	put(json, "verified", shown[USER_VERIFIED]);
	put_text(json, "picture", shown[USER_PICTURE]);
	out_object_end(json);
}

/* Walks over an array of objects and has each written; those that are null are left
 * out. How many were written. */
static size_t
put_each(struct json_out *json, const char *key, struct json_slice array,
    const struct json_shape *shape,
    void (*write)(struct json_out *json, const struct json_slice *slots))
{
	struct json_slice slots[PERSON_SLOTS];
	struct json_found found = { .slots = slots, .count = PERSON_SLOTS };
	struct json_slice at = array;
	struct json_slice value;
	size_t count = 0;

	out_array(json, key);
	while (!json_slice_is_null(array) && json_slice_next(&at, NULL, &value)) {
		if (json_slice_is_null(value) ||
		    !json_scan(value.start, value.length, shape, &found))
			continue;
		slots[USER_SELF] = value;
		write(json, slots);
		count++;
	}
	out_array_end(json);
	return count;
}

/* chat.message.sent */

static void
write_position(struct json_out *json, const struct json_slice *slots)
{
	out_object(json, NULL);
	put(json, "start", slots[POSITION_START]);
	put(json, "end", slots[POSITION_END]);
	out_object_end(json);
}

static void
write_emote(struct json_out *json, const struct json_slice *slots)
{
	out_object(json, NULL);
	put_id(json, "id", slots[EMOTE_ID]);
	(void)put_each(json, "positions", slots[EMOTE_POSITIONS], &kick_position_shape,
	    write_position);
	out_object_end(json);
}

static void
write_badge(struct json_out *json, const struct json_slice *slots)
{
	out_object(json, NULL);
	put_text(json, "type", slots[BADGE_TYPE]);
	put_text(json, "text", slots[BADGE_TEXT]);
	put(json, "count", slots[BADGE_COUNT]);
	out_object_end(json);
}

static void
put_reply(struct json_out *json, const struct json_slice *slots)
{
	if (json_slice_is_null(slots[CHAT_REPLY])) {
		out_null(json, "reply_to");
		return;
	}
	out_object(json, "reply_to");
	put_text(json, "message_id", slots[CHAT_REPLY_ID]);
	put(json, "text", slots[CHAT_REPLY_TEXT]);
	put_person(json, "sender", slots + CHAT_REPLY_SENDER);
	out_object_end(json);
}

void
kick_write_chat(struct json_out *json, const struct json_slice *slots)
{
	static const struct json_slice none;
	bool anonymous = mask_says_anonymous(slots[KICK_ACTOR + USER_SELF]);

	put_text(json, "message_id", slots[CHAT_ID]);
	put(json, "text", slots[CHAT_TEXT]);
	(void)put_each(
	    json, "emotes", slots[CHAT_EMOTES], &kick_emote_shape, write_emote);
	put_text(json, "color", anonymous ? none : slots[KICK_ACTOR + USER_COLOR]);
	(void)put_each(json, "badges",
	    anonymous ? none : slots[KICK_ACTOR + USER_BADGES], &kick_badge_shape,
	    write_badge);
	put_reply(json, slots);
	put_time(json, "created_at", slots[CHAT_CREATED]);
}

/* channel.followed */

void
kick_write_nothing(struct json_out *json, const struct json_slice *slots)
{
	(void)json;
	(void)slots;
}

/* channel.subscription.new, .renewal and .gifts */

static void
put_subscription(struct json_out *json, const struct json_slice *slots, bool renewal)
{
	out_flag(json, "renewal", renewal);
	put(json, "months", slots[SUBSCRIPTION_DURATION]);
	put_time(json, "created_at", slots[SUBSCRIPTION_CREATED]);
	put_time(json, "expires_at", slots[SUBSCRIPTION_EXPIRES]);
}

void
kick_write_new(struct json_out *json, const struct json_slice *slots)
{
	put_subscription(json, slots, false);
}

void
kick_write_renewal(struct json_out *json, const struct json_slice *slots)
{
	put_subscription(json, slots, true);
}

static void
write_giftee(struct json_out *json, const struct json_slice *slots)
{
	put_person(json, NULL, slots);
}

/* There is no count in the body (facts/kick.md 3.5): it is that of the list. */
void
kick_write_gifts(struct json_out *json, const struct json_slice *slots)
{
	size_t count = put_each(
	    json, "recipients", slots[GIFTS_GIFTEES], &kick_user_shape, write_giftee);

	out_number(json, "count", count);
	put_time(json, "created_at", slots[GIFTS_CREATED]);
	put_time(json, "expires_at", slots[GIFTS_EXPIRES]);
}

/* channel.reward.redemption.updated */

void
kick_write_redemption(struct json_out *json, const struct json_slice *slots)
{
	put_text(json, "redemption_id", slots[REDEMPTION_ID]);
	put_text(json, "status", slots[REDEMPTION_STATUS]);
	put(json, "input", slots[REDEMPTION_INPUT]);
	if (json_slice_is_null(slots[REDEMPTION_REWARD])) {
		out_null(json, "reward");
	} else {
		out_object(json, "reward");
		put_text(json, "id", slots[REDEMPTION_REWARD_ID]);
		put(json, "title", slots[REDEMPTION_REWARD_TITLE]);
		put(json, "cost", slots[REDEMPTION_REWARD_COST]);
		put(json, "description", slots[REDEMPTION_REWARD_DESCRIPTION]);
		out_object_end(json);
	}
	put_time(json, "redeemed_at", slots[REDEMPTION_TIME]);
}

/* livestream.status.updated and .metadata.updated: one form for both, so that what a
 * type does not say is null. */

void
kick_write_status(struct json_out *json, const struct json_slice *slots)
{
	if (json_slice_is_null(slots[STATUS_LIVE]))
		out_null(json, "change");
	else
		out_text(
		    json, "change", is_true(slots[STATUS_LIVE]) ? "online" : "offline");
	put(json, "live", slots[STATUS_LIVE]);
	put(json, "title", slots[STATUS_TITLE]);
	out_null(json, "language");
	out_null(json, "mature");
	out_null(json, "category");
	put_time(json, "started_at", slots[STATUS_STARTED]);
	put_time(json, "ended_at", slots[STATUS_ENDED]);
}

static void
put_category(struct json_out *json, const struct json_slice *slots)
{
	if (json_slice_is_null(slots[CATEGORY_SELF])) {
		out_null(json, "category");
		return;
	}
	out_object(json, "category");
	put_id(json, "id", slots[CATEGORY_ID]);
	put(json, "name", slots[CATEGORY_NAME]);
	put_text(json, "thumbnail", slots[CATEGORY_THUMBNAIL]);
	out_object_end(json);
}

void
kick_write_metadata(struct json_out *json, const struct json_slice *slots)
{
	out_text(json, "change", "metadata");
	out_null(json, "live");
	put(json, "title", slots[METADATA_TITLE]);
	put_text(json, "language", slots[METADATA_LANGUAGE]);
	put(json, "mature", slots[METADATA_MATURE]);
	put_category(json,
	    slots +
		(json_slice_is_null(slots[METADATA_CATEGORY]) ? METADATA_CAPITAL
							      : METADATA_CATEGORY));
	out_null(json, "started_at");
	out_null(json, "ended_at");
}

/* moderation.banned: with an end it is a time-out. */
void
kick_write_ban(struct json_out *json, const struct json_slice *slots)
{
	int64_t ms;
	bool ends = !is_empty(slots[BAN_EXPIRES]) &&
	    json_slice_time(slots[BAN_EXPIRES], &ms) && ms >= 0;

	out_text(json, "action", ends ? "timeout" : "ban");
	put_person(json, "target", slots + BAN_TARGET);
	put(json, "reason", slots[BAN_REASON]);
	put_time(json, "created_at", slots[BAN_CREATED]);
	put_time(json, "expires_at", slots[BAN_EXPIRES]);
}

/* kicks.gifted */
void
kick_write_kicks(struct json_out *json, const struct json_slice *slots)
{
	put(json, "amount", slots[KICKS_AMOUNT]);
	out_text(json, "unit", "kicks");
	put(json, "name", slots[KICKS_NAME]);
	put_text(json, "type", slots[KICKS_TYPE]);
	put_text(json, "tier", slots[KICKS_TIER]);
	put(json, "message", slots[KICKS_MESSAGE]);
	put(json, "pinned_s", slots[KICKS_PINNED]);
	put_time(json, "created_at", slots[KICKS_CREATED]);
}

/* The whole. */

bool
kick_event_write(struct json_out *json, const char *type, uint32_t version,
    const uint8_t *body, size_t length)
{
	const struct kick_model *model = kick_model_find(type, version);
	struct json_slice slots[KICK_SLOTS_MAX];
	struct json_found found = { .slots = slots };

	if (!model)
		return false;
	found.count = model->slots;
	if (!json_scan(body, length, model->shape, &found) || found.wrong)
		return false;
	put_person(json, "actor", slots + KICK_ACTOR);
	out_object(json, "data");
	model->write(json, slots);
	out_object_end(json);
	return true;
}

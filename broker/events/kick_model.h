/*
 * The documented event types of Kick: which members their bodies have, of which types,
 * and what they mean. facts/kick.md 2.2, 3.4, 3.5. Tables only; kick_event.c looks at
 * bodies with them, kick_json.c composes events from them.
 */
#ifndef BROKER_EVENTS_KICK_MODEL_H
#define BROKER_EVENTS_KICK_MODEL_H

#include <stdint.h>

#include "broker/events/json_scan.h"
#include "common/json_out.h"

/* Slots of json_scan. A person is an object of USER_SLOTS slots, itself the first;
 * `identity` is only there for those who chat. */
enum {
	USER_SELF,
	USER_ANONYMOUS,
	USER_ID,
	USER_NAME,
	USER_VERIFIED,
	USER_PICTURE,
	USER_SLUG,
	USER_IDENTITY,
	USER_COLOR,
	USER_BADGES,
	USER_SLOTS,
};

/* Every body: slot 0 is none, then whose channel it is, and who did it. */
enum {
	KICK_NONE,
	KICK_BROADCASTER,
	KICK_ACTOR = KICK_BROADCASTER + USER_SLOTS,
	KICK_OTHERS = KICK_ACTOR + USER_SLOTS,
};

enum {
	CHAT_ID = KICK_OTHERS,
	CHAT_TEXT,
	CHAT_EMOTES,
	CHAT_CREATED,
	CHAT_REPLY,
	CHAT_REPLY_ID,
	CHAT_REPLY_TEXT,
	CHAT_REPLY_SENDER,
	CHAT_SLOTS = CHAT_REPLY_SENDER + USER_SLOTS,
};

enum {
	SUBSCRIPTION_DURATION = KICK_OTHERS,
	SUBSCRIPTION_CREATED,
	SUBSCRIPTION_EXPIRES,
	SUBSCRIPTION_SLOTS,
};

enum { GIFTS_GIFTEES = KICK_OTHERS, GIFTS_CREATED, GIFTS_EXPIRES, GIFTS_SLOTS };

enum {
	REDEMPTION_ID = KICK_OTHERS,
	REDEMPTION_INPUT,
	REDEMPTION_STATUS,
	REDEMPTION_TIME,
	REDEMPTION_REWARD,
	REDEMPTION_REWARD_ID,
	REDEMPTION_REWARD_TITLE,
	REDEMPTION_REWARD_COST,
	REDEMPTION_REWARD_DESCRIPTION,
	REDEMPTION_SLOTS,
};

enum {
	STATUS_LIVE = KICK_OTHERS,
	STATUS_TITLE,
	STATUS_STARTED,
	STATUS_ENDED,
	STATUS_SLOTS
};

/* The category comes under two names (facts/kick.md 7, #238). */
enum { CATEGORY_SELF, CATEGORY_ID, CATEGORY_NAME, CATEGORY_THUMBNAIL, CATEGORY_SLOTS };
enum {
	METADATA_SELF = KICK_OTHERS,
	METADATA_TITLE,
	METADATA_LANGUAGE,
	METADATA_MATURE,
	METADATA_CATEGORY,
	METADATA_CAPITAL = METADATA_CATEGORY + CATEGORY_SLOTS,
	METADATA_SLOTS = METADATA_CAPITAL + CATEGORY_SLOTS,
};

enum {
	BAN_TARGET = KICK_OTHERS,
	BAN_METADATA = BAN_TARGET + USER_SLOTS,
	BAN_REASON,
	BAN_CREATED,
	BAN_EXPIRES,
	BAN_SLOTS,
};

enum {
	KICKS_GIFT = KICK_OTHERS,
	KICKS_AMOUNT,
	KICKS_NAME,
	KICKS_TYPE,
	KICKS_TIER,
	KICKS_MESSAGE,
	KICKS_PINNED,
	KICKS_CREATED,
	KICKS_SLOTS,
};

/* At least the slots of every type. */
#define KICK_SLOTS_MAX 48

#define KICK_MARKERS_MAX 2

struct kick_model {
	const char *type;
	uint32_t version;
	const char *kind; /* event_kind.h */
	const struct json_shape *shape;
	uint8_t slots;
	/* Members that bodies of this type have and others have not; KICK_NONE: no
	 * more of them. They may be null. */
	uint8_t markers[KICK_MARKERS_MAX];
	/* The object that markers are in; when it is null so are they. */
	uint8_t marked;
	/* What makes an event this one and no other, when it has an id of its own. */
	uint8_t ids[KICK_MARKERS_MAX];
	/* When it happened, by the body; KICK_NONE: it does not say. */
	uint8_t time;
	/* With ids: a time that is the same whenever the event comes. */
	uint8_t born;
	/* Without: so far apart in sending equal ones are one event, seconds. */
	uint16_t window_s;
	/* Writes the members of `data`. */
	void (*write)(struct json_out *json, const struct json_slice *slots);
};

/* The model of a type; NULL when type and version are not documented. */
const struct kick_model *kick_model_find(const char *type, uint32_t version);

/* Every model, one after the other; NULL after the last. */
const struct kick_model *kick_model_at(size_t place);

/* What is looked for in bodies of types that are not documented. */
extern const struct json_shape kick_unknown_shape;

/* Members of a person and of the list of what is in a message, for those who walk over
 * arrays. */
extern const struct json_shape kick_user_shape;
extern const struct json_shape kick_badge_shape;
extern const struct json_shape kick_emote_shape;
extern const struct json_shape kick_position_shape;
enum { BADGE_TEXT = 1, BADGE_TYPE, BADGE_COUNT, BADGE_SLOTS };
enum { EMOTE_ID = 1, EMOTE_POSITIONS, EMOTE_SLOTS };
enum { POSITION_START = 1, POSITION_END, POSITION_SLOTS };

/* kick_json.c: the functions `write` of the models. */
void kick_write_chat(struct json_out *json, const struct json_slice *slots);
void kick_write_nothing(struct json_out *json, const struct json_slice *slots);
void kick_write_new(struct json_out *json, const struct json_slice *slots);
void kick_write_renewal(struct json_out *json, const struct json_slice *slots);
void kick_write_gifts(struct json_out *json, const struct json_slice *slots);
void kick_write_redemption(struct json_out *json, const struct json_slice *slots);
void kick_write_status(struct json_out *json, const struct json_slice *slots);
void kick_write_metadata(struct json_out *json, const struct json_slice *slots);
void kick_write_ban(struct json_out *json, const struct json_slice *slots);
void kick_write_kicks(struct json_out *json, const struct json_slice *slots);

#endif

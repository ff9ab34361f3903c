/*
 * The tables of the documented types. A new type is a shape and a row here, and a
 * function in kick_json.c.
 */
#include <string.h>

#include "broker/events/event_kind.h"
#include "broker/events/kick_model.h"

/* Two sendings of one event are seconds apart, and their signed times say so however
 * late they come. Bodies that say when it happened are never equal for two events, so
 * their window may be wide. Who follows, leaves and follows again sends
 * equal bodies, and so does who changes a title back: those are told apart by time. */
#define WINDOW_TIMED 300
#define WINDOW_FOLLOW 60
#define WINDOW_STATE 10

#define SHAPE(table) \
	{ \
		(table), sizeof(table) / sizeof((table)[0]) \
	}

/* Slots inside an object count from its own. */
#define INSIDE(slot, object) ((slot) - (object))

static const struct json_member badge_members[] = {
	JSON_MEMBER("text", SCAN_TEXT, BADGE_TEXT),
	JSON_MEMBER("type", SCAN_TEXT, BADGE_TYPE),
	JSON_MEMBER("count", SCAN_INTEGER, BADGE_COUNT),
};
const struct json_shape kick_badge_shape = SHAPE(badge_members);

static const struct json_member identity_members[] = {
	JSON_MEMBER("username_color", SCAN_TEXT, INSIDE(USER_COLOR, USER_IDENTITY)),
	JSON_NESTED("badges", SCAN_ARRAY, INSIDE(USER_BADGES, USER_IDENTITY),
	    &kick_badge_shape),
};
static const struct json_shape identity = SHAPE(identity_members);

static const struct json_member user_members[] = {
	JSON_MEMBER("is_anonymous", SCAN_FLAG, USER_ANONYMOUS),
	JSON_MEMBER("user_id", SCAN_ID, USER_ID),
	JSON_MEMBER("username", SCAN_TEXT, USER_NAME),
	JSON_MEMBER("is_verified", SCAN_FLAG, USER_VERIFIED),
	JSON_MEMBER("profile_picture", SCAN_TEXT, USER_PICTURE),
	JSON_MEMBER("channel_slug", SCAN_TEXT, USER_SLUG),
	JSON_NESTED("identity", SCAN_OBJECT, USER_IDENTITY, &identity),
};
const struct json_shape kick_user_shape = SHAPE(user_members);

#define BROADCASTER \
	JSON_NESTED("broadcaster", SCAN_OBJECT, KICK_BROADCASTER, &kick_user_shape)
#define ACTOR(name) JSON_NESTED(name, SCAN_OBJECT, KICK_ACTOR, &kick_user_shape)

static const struct json_member unknown_members[] = { BROADCASTER };
const struct json_shape kick_unknown_shape = SHAPE(unknown_members);

/* chat.message.sent */
static const struct json_member position_members[] = {
	JSON_MEMBER("s", SCAN_INTEGER, POSITION_START),
	JSON_MEMBER("e", SCAN_INTEGER, POSITION_END),
};
const struct json_shape kick_position_shape = SHAPE(position_members);
static const struct json_member emote_members[] = {
	JSON_MEMBER("emote_id", SCAN_LABEL, EMOTE_ID),
	JSON_NESTED("positions", SCAN_ARRAY, EMOTE_POSITIONS, &kick_position_shape),
};
const struct json_shape kick_emote_shape = SHAPE(emote_members);
static const struct json_member reply_members[] = {
	JSON_MEMBER("message_id", SCAN_TEXT, INSIDE(CHAT_REPLY_ID, CHAT_REPLY)),
	JSON_MEMBER("content", SCAN_TEXT, INSIDE(CHAT_REPLY_TEXT, CHAT_REPLY)),
	JSON_NESTED("sender", SCAN_OBJECT, INSIDE(CHAT_REPLY_SENDER, CHAT_REPLY),
	    &kick_user_shape),
};
static const struct json_shape reply = SHAPE(reply_members);
static const struct json_member chat_members[] = {
	BROADCASTER,
	ACTOR("sender"),
	JSON_MEMBER("message_id", SCAN_TEXT, CHAT_ID),
	JSON_MEMBER("content", SCAN_TEXT, CHAT_TEXT),
	JSON_NESTED("emotes", SCAN_ARRAY, CHAT_EMOTES, &kick_emote_shape),
	JSON_MEMBER("created_at", SCAN_TIME, CHAT_CREATED),
	JSON_NESTED("replies_to", SCAN_OBJECT, CHAT_REPLY, &reply),
};
static const struct json_shape chat = SHAPE(chat_members);

/* channel.followed */
static const struct json_member follow_members[] = { BROADCASTER, ACTOR("follower") };
static const struct json_shape follow = SHAPE(follow_members);

/* channel.subscription.new and .renewal */
static const struct json_member subscription_members[] = {
	BROADCASTER,
	ACTOR("subscriber"),
	JSON_MEMBER("duration", SCAN_INTEGER, SUBSCRIPTION_DURATION),
	JSON_MEMBER("created_at", SCAN_TIME, SUBSCRIPTION_CREATED),
	JSON_MEMBER("expires_at", SCAN_TIME, SUBSCRIPTION_EXPIRES),
};
static const struct json_shape subscription = SHAPE(subscription_members);

/* channel.subscription.gifts */
static const struct json_member gifts_members[] = {
	BROADCASTER,
	ACTOR("gifter"),
	JSON_NESTED("giftees", SCAN_ARRAY, GIFTS_GIFTEES, &kick_user_shape),
	JSON_MEMBER("created_at", SCAN_TIME, GIFTS_CREATED),
	JSON_MEMBER("expires_at", SCAN_TIME, GIFTS_EXPIRES),
};
static const struct json_shape gifts = SHAPE(gifts_members);

/* channel.reward.redemption.updated */
static const struct json_member reward_members[] = {
	JSON_MEMBER("id", SCAN_TEXT, INSIDE(REDEMPTION_REWARD_ID, REDEMPTION_REWARD)),
	JSON_MEMBER(
	    "title", SCAN_TEXT, INSIDE(REDEMPTION_REWARD_TITLE, REDEMPTION_REWARD)),
	JSON_MEMBER(
	    "cost", SCAN_INTEGER, INSIDE(REDEMPTION_REWARD_COST, REDEMPTION_REWARD)),
	JSON_MEMBER("description", SCAN_TEXT,
	    INSIDE(REDEMPTION_REWARD_DESCRIPTION, REDEMPTION_REWARD)),
};
static const struct json_shape reward = SHAPE(reward_members);
static const struct json_member redemption_members[] = {
	BROADCASTER,
	ACTOR("redeemer"),
	JSON_MEMBER("id", SCAN_TEXT, REDEMPTION_ID),
	JSON_MEMBER("user_input", SCAN_TEXT, REDEMPTION_INPUT),
	JSON_MEMBER("status", SCAN_TEXT, REDEMPTION_STATUS),
	JSON_MEMBER("redeemed_at", SCAN_TIME, REDEMPTION_TIME),
	JSON_NESTED("reward", SCAN_OBJECT, REDEMPTION_REWARD, &reward),
};
static const struct json_shape redemption = SHAPE(redemption_members);

/* livestream.status.updated */
static const struct json_member status_members[] = {
	BROADCASTER,
	JSON_MEMBER("is_live", SCAN_FLAG, STATUS_LIVE),
	JSON_MEMBER("title", SCAN_TEXT, STATUS_TITLE),
	JSON_MEMBER("started_at", SCAN_TIME, STATUS_STARTED),
	JSON_MEMBER("ended_at", SCAN_TIME, STATUS_ENDED),
};
static const struct json_shape status = SHAPE(status_members);

/* livestream.metadata.updated */
static const struct json_member category_members[] = {
	JSON_MEMBER("id", SCAN_ID, CATEGORY_ID),
	JSON_MEMBER("name", SCAN_TEXT, CATEGORY_NAME),
	JSON_MEMBER("thumbnail", SCAN_TEXT, CATEGORY_THUMBNAIL),
};
static const struct json_shape category = SHAPE(category_members);
static const struct json_member metadata_members[] = {
	JSON_MEMBER("title", SCAN_TEXT, INSIDE(METADATA_TITLE, METADATA_SELF)),
	JSON_MEMBER("language", SCAN_TEXT, INSIDE(METADATA_LANGUAGE, METADATA_SELF)),
	JSON_MEMBER(
	    "has_mature_content", SCAN_FLAG, INSIDE(METADATA_MATURE, METADATA_SELF)),
	JSON_NESTED("category", SCAN_OBJECT, INSIDE(METADATA_CATEGORY, METADATA_SELF),
	    &category),
	JSON_NESTED("Category", SCAN_OBJECT, INSIDE(METADATA_CAPITAL, METADATA_SELF),
	    &category),
};
static const struct json_shape metadata = SHAPE(metadata_members);
static const struct json_member stream_members[] = {
	BROADCASTER,
	JSON_NESTED("metadata", SCAN_OBJECT, METADATA_SELF, &metadata),
};
static const struct json_shape stream = SHAPE(stream_members);

/* moderation.banned */
static const struct json_member ban_metadata_members[] = {
	JSON_MEMBER("reason", SCAN_TEXT, INSIDE(BAN_REASON, BAN_METADATA)),
	JSON_MEMBER("created_at", SCAN_TIME, INSIDE(BAN_CREATED, BAN_METADATA)),
	JSON_MEMBER("expires_at", SCAN_TIME, INSIDE(BAN_EXPIRES, BAN_METADATA)),
};
static const struct json_shape ban_metadata = SHAPE(ban_metadata_members);
static const struct json_member ban_members[] = {
	BROADCASTER,
	ACTOR("moderator"),
	JSON_NESTED("banned_user", SCAN_OBJECT, BAN_TARGET, &kick_user_shape),
	JSON_NESTED("metadata", SCAN_OBJECT, BAN_METADATA, &ban_metadata),
};
static const struct json_shape ban = SHAPE(ban_members);

/* kicks.gifted */
static const struct json_member gift_members[] = {
	JSON_MEMBER("amount", SCAN_INTEGER, INSIDE(KICKS_AMOUNT, KICKS_GIFT)),
	JSON_MEMBER("name", SCAN_TEXT, INSIDE(KICKS_NAME, KICKS_GIFT)),
	JSON_MEMBER("type", SCAN_TEXT, INSIDE(KICKS_TYPE, KICKS_GIFT)),
	JSON_MEMBER("tier", SCAN_TEXT, INSIDE(KICKS_TIER, KICKS_GIFT)),
	JSON_MEMBER("message", SCAN_TEXT, INSIDE(KICKS_MESSAGE, KICKS_GIFT)),
	JSON_MEMBER(
	    "pinned_time_seconds", SCAN_INTEGER, INSIDE(KICKS_PINNED, KICKS_GIFT)),
};
static const struct json_shape gift = SHAPE(gift_members);
static const struct json_member kicks_members[] = {
	BROADCASTER,
	ACTOR("sender"),
	JSON_NESTED("gift", SCAN_OBJECT, KICKS_GIFT, &gift),
	JSON_MEMBER("created_at", SCAN_TIME, KICKS_CREATED),
};
static const struct json_shape kicks = SHAPE(kicks_members);

/* Every type that is documented, the most frequent first. A redemption's time is that
 * of its beginning whatever became of it, and a renewal may name that of the first
 * month (facts/kick.md 3.5): neither says how old the event is. */
static const struct kick_model models[] = {
	{
	    .type = "chat.message.sent",
	    .version = 1,
	    .kind = EVENT_KIND_CHAT,
	    .shape = &chat,
	    .slots = CHAT_SLOTS,
	    .markers = { CHAT_ID, CHAT_TEXT },
	    .ids = { CHAT_ID },
	    .time = CHAT_CREATED,
	    .born = CHAT_CREATED,
	    .window_s = WINDOW_TIMED,
	    .write = kick_write_chat,
	},
	{
	    .type = "channel.followed",
	    .version = 1,
	    .kind = EVENT_KIND_FOLLOW,
	    .shape = &follow,
	    .slots = KICK_OTHERS,
	    .markers = { KICK_ACTOR },
	    .window_s = WINDOW_FOLLOW,
	    .write = kick_write_nothing,
	},
	{
	    .type = "channel.subscription.new",
	    .version = 1,
	    .kind = EVENT_KIND_SUBSCRIPTION,
	    .shape = &subscription,
	    .slots = SUBSCRIPTION_SLOTS,
	    .markers = { KICK_ACTOR },
	    .window_s = WINDOW_TIMED,
	    .write = kick_write_new,
	},
	{
	    .type = "channel.subscription.renewal",
	    .version = 1,
	    .kind = EVENT_KIND_SUBSCRIPTION,
	    .shape = &subscription,
	    .slots = SUBSCRIPTION_SLOTS,
	    .markers = { KICK_ACTOR },
	    .window_s = WINDOW_TIMED,
	    .write = kick_write_renewal,
	},
	{
	    .type = "channel.subscription.gifts",
	    .version = 1,
	    .kind = EVENT_KIND_GIFT,
	    .shape = &gifts,
	    .slots = GIFTS_SLOTS,
	    .markers = { GIFTS_GIFTEES },
	    .time = GIFTS_CREATED,
	    .window_s = WINDOW_TIMED,
	    .write = kick_write_gifts,
	},
	{
	    .type = "channel.reward.redemption.updated",
	    .version = 1,
	    .kind = EVENT_KIND_REWARD,
	    .shape = &redemption,
	    .slots = REDEMPTION_SLOTS,
	    .markers = { KICK_ACTOR },
	    .ids = { REDEMPTION_ID, REDEMPTION_STATUS },
	    .born = REDEMPTION_TIME,
	    .window_s = WINDOW_TIMED,
	    .write = kick_write_redemption,
	},
	{
	    .type = "livestream.status.updated",
	    .version = 1,
	    .kind = EVENT_KIND_STREAM,
	    .shape = &status,
	    .slots = STATUS_SLOTS,
	    .markers = { STATUS_LIVE },
	    .window_s = WINDOW_STATE,
	    .write = kick_write_status,
	},
	{
	    .type = "livestream.metadata.updated",
	    .version = 1,
	    .kind = EVENT_KIND_STREAM,
	    .shape = &stream,
	    .slots = METADATA_SLOTS,
	    .markers = { METADATA_TITLE },
	    .marked = METADATA_SELF,
	    .window_s = WINDOW_STATE,
	    .write = kick_write_metadata,
	},
	{
	    .type = "moderation.banned",
	    .version = 1,
	    .kind = EVENT_KIND_MODERATION,
	    .shape = &ban,
	    .slots = BAN_SLOTS,
	    .markers = { BAN_TARGET },
	    .time = BAN_CREATED,
	    .window_s = WINDOW_TIMED,
	    .write = kick_write_ban,
	},
	{
	    .type = "kicks.gifted",
	    .version = 1,
	    .kind = EVENT_KIND_TIP,
	    .shape = &kicks,
	    .slots = KICKS_SLOTS,
	    .markers = { KICKS_GIFT },
	    .time = KICKS_CREATED,
	    .window_s = WINDOW_TIMED,
	    .write = kick_write_kicks,
	},
};

_Static_assert((int)CHAT_SLOTS <= KICK_SLOTS_MAX && (int)BAN_SLOTS <= KICK_SLOTS_MAX,
    "every type has room");

const struct kick_model *
kick_model_find(const char *type, uint32_t version)
{
	size_t i;

	for (i = 0; i < sizeof(models) / sizeof(models[0]); i++)
		if (strcmp(models[i].type, type) == 0)
			return models[i].version == version ? &models[i] : NULL;
	return NULL;
}

const struct kick_model *
kick_model_at(size_t place)
{
	return place < sizeof(models) / sizeof(models[0]) ? &models[place] : NULL;
}

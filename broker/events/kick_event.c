/*
 * The first look at a body: pure, by one scan. Called by ingest for every delivery
 * whose signature is good; the body may still be anything.
 */
#include <string.h>

#include "broker/events/json_scan.h"
#include "broker/events/kick_event.h"
#include "broker/events/kick_model.h"
#include "broker/events/mask.h"
#include "common/crypto.h"

/* Bytes of the ids that make an event this one; longer ones count as none. */
#define IDS_SIZE 256

/* Types that are not documented may be about anything, so equal bodies are one event
 * only when they come together. */
#define WINDOW_UNKNOWN 10

const char *
kick_event_kind(const char *type, uint32_t version)
{
	const struct kick_model *model = kick_model_find(type, version);

	return model ? model->kind : NULL;
}

static void
read_broadcaster(struct kick_event *event, const struct json_slice *slots)
{
	const struct json_slice id = slots[KICK_BROADCASTER + USER_ID];
	uint64_t number;

	/* What is read as a number are decimal digits, without needless zeros. */
	if (json_slice_id(id, &number) && id.length < sizeof(event->broadcaster_id))
		memcpy(event->broadcaster_id, id.start, id.length);
	(void)json_slice_text(slots[KICK_BROADCASTER + USER_NAME],
	    event->broadcaster_name, sizeof(event->broadcaster_name));
	(void)json_slice_text(slots[KICK_BROADCASTER + USER_SLUG],
	    event->broadcaster_slug, sizeof(event->broadcaster_slug));
}

/* Whether a body has a member that only another type's bodies have. */
static bool
is_of_another(const struct kick_model *model, const uint8_t *body, size_t length)
{
	struct json_slice slots[KICK_SLOTS_MAX];
	struct json_found found = { .slots = slots };
	const struct kick_model *other;
	size_t i;
	size_t n;

	for (n = 0; (other = kick_model_at(n)); n++) {
		if (other == model)
			continue;
		found.count = other->slots;
		(void)json_scan(body, length, other->shape, &found);
		for (i = 0; i < KICK_MARKERS_MAX && other->markers[i]; i++)
			if (slots[other->markers[i]].start)
				return true;
	}
	return false;
}

/* The type is not signed, so the body must be one of that type by itself
 * (facts/kick.md 2.2). Without the object that its marks are in, it is as long as it
 * bears no mark of another. */
static void
check_fit(struct kick_event *event, const struct kick_model *model,
    const struct json_found *found, const uint8_t *body, size_t length)
{
	const struct json_slice *around = &found->slots[model->marked];
	bool null = around->start && json_slice_is_null(*around);
	size_t i;

	event->alien = null && is_of_another(model, body, length);
	for (i = 0; i < KICK_MARKERS_MAX && model->markers[i]; i++)
		if (!null && !found->slots[model->markers[i]].start)
			event->alien = true;
	event->ill_typed = found->wrong != NULL;
	event->member = found->wrong;
}

/* The digest of the type and the ids. False when one of them is missing. */
static bool
digest_ids(const struct kick_model *model, const struct json_slice *slots,
    struct store_content *content)
{
	char text[IDS_SIZE];
	size_t used = strlen(model->type) + 1;
	size_t i;

	memcpy(text, model->type, used);
	for (i = 0; i < KICK_MARKERS_MAX && model->ids[i]; i++) {
		if (!json_slice_text(
			slots[model->ids[i]], text + used, sizeof(text) - used) ||
		    !text[used])
			return false;
		used += strlen(text + used) + 1;
	}
	if (i == 0)
		return false;
	crypto_sha256(text, used, content->digest);
	return true;
}

/* ms since 1970 of a slot, 0 when it says nothing. */
static int64_t
time_of(const struct json_slice *slots, uint8_t slot)
{
	int64_t ms;

	return slot && json_slice_time(slots[slot], &ms) && ms > 0 ? ms : 0;
}

static void
read_content(struct kick_event *event, const struct kick_model *model,
    const struct json_slice *slots)
{
	int64_t born = time_of(slots, model->born);

	event->own_time =
	    model->time == model->born ? born : time_of(slots, model->time);
	event->content = (struct store_content){ .rule = STORE_CONTENT_BODY,
		.window_ms = model->window_s * 1000U };
	if (!digest_ids(model, slots, &event->content))
		return;
	event->content.rule = STORE_CONTENT_IDS;
	event->content.born = born;
}

void
kick_event_read(const char *type, uint32_t version, const uint8_t *body, size_t length,
    struct kick_event *ret_event)
{
	const struct kick_model *model = kick_model_find(type, version);
	struct json_slice slots[KICK_SLOTS_MAX];
	struct json_found found = { .slots = slots,
		.count = model ? model->slots : KICK_ACTOR };

	*ret_event = (struct kick_event){ .known = model != NULL,
		.json = json_scan(
		    body, length, model ? model->shape : &kick_unknown_shape, &found) };
	if (!model)
		ret_event->content = (struct store_content){ .rule = STORE_CONTENT_BODY,
			.window_ms = WINDOW_UNKNOWN * 1000,
			.salt = type };
	if (!ret_event->json) {
		ret_event->alien = model != NULL;
		ret_event->named = mask_is_feared(body, length);
		return;
	}
	ret_event->named = found.anonymous && mask_is_needed(body, length);
	read_broadcaster(ret_event, slots);
	if (!model)
		return;
	check_fit(ret_event, model, &found, body, length);
	if (!ret_event->alien && !ret_event->ill_typed)
		read_content(ret_event, model, slots);
}

/*
 * From a platform's type to the neutral kind. Pure; called where events are filtered
 * and where they are composed.
 */
#include <string.h>

#include "broker/events/event_kind.h"
#include "broker/events/kick_event.h"
#include "broker/store/store_event.h"
#include "common/config.h"

/* Types of our own that begin so are about a login; the others are notices. */
#define ACCOUNT_PREFIX "account."

/* Who knows a platform's types. */
static const struct {
	enum config_platform_index platform;
	struct event_model model;
} models[] = {
	{ CONFIG_PLATFORM_KICK, { kick_event_kind, kick_event_write } },
};

const struct event_model *
event_model_of(const char *platform)
{
	size_t i;

	for (i = 0; platform && i < sizeof(models) / sizeof(models[0]); i++)
		if (strcmp(platform, config_platform_name(models[i].platform)) == 0)
			return &models[i].model;
	return NULL;
}

const char *
event_kind(const char *platform, const char *type, uint32_t version, uint32_t flags)
{
	const struct event_model *model;
	const char *kind;

	if (!platform || !type)
		return EVENT_KIND_UNKNOWN;
	if (flags & EVENT_OWN)
		return strncmp(type, ACCOUNT_PREFIX, strlen(ACCOUNT_PREFIX)) == 0
		    ? EVENT_KIND_ACCOUNT
		    : EVENT_KIND_NOTICE;
	model = event_model_of(platform);
	kind = model ? model->kind(type, version) : NULL;
	return kind ? kind : EVENT_KIND_UNKNOWN;
}

/*
 * The table of platforms, and what their files share. Called by everything in this
 * folder that is given a platform's name.
 */
#include <stdio.h>
#include <string.h>

#include "broker/oauth/form.h"
#include "broker/oauth/platform.h"

static const struct platform *const platforms[CONFIG_PLATFORM_MAX] = {
	[CONFIG_PLATFORM_TWITCH] = &platform_twitch,
	[CONFIG_PLATFORM_KICK] = &platform_kick,
	[CONFIG_PLATFORM_YOUTUBE] = &platform_youtube,
};

const struct platform *
platform_find(const char *name)
{
	size_t i;

	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		if (strcmp(platforms[i]->name, name) == 0)
			return platforms[i];
	return NULL;
}

const struct platform *
platform_at(enum config_platform_index index)
{
	return platforms[index];
}

const char *
platform_names_sentence(void)
{
	return "Invalid platform. Must be one of: twitch, kick, youtube";
}

void
platform_ask_get(struct platform_request *request, const char *base, const char *path,
    const char *scheme, const struct secret *token)
{
	request->fetch = (struct fetch_request){ .method = "GET", .url = request->url };
	snprintf(request->url, sizeof(request->url), "%s%s", base, path);
	fetch_request_header(&request->fetch, "Authorization", scheme, token);
}

struct secret
platform_form_of_one(const char *name, const struct secret *value)
{
	struct buf form = form_new();

	form_add_secret(&form, name, value);
	return form_take(&form);
}

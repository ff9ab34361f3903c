/*
 * Redirect addresses. Called by credentials.c, login_start.c, login_finish.c and
 * report.c.
 */
#include <stdio.h>
#include <string.h>

#include "broker/oauth/redirect.h"
#include "common/alloc.h"

bool
redirect_uri(const struct broker *broker, const struct platform *platform,
    const char *state, char *uri)
{
	char base[BROKER_BASE_SIZE];
	bool in_path = broker->config.oauth.state_in_path;
	int length;

	if (!broker_redirect_base(broker, base))
		return false;
	length = snprintf(uri, REDIRECT_SIZE, "%s/oauth/callback/%s%s%s", base,
	    platform->name, in_path ? "/" : "", in_path ? state : "");
	return length > 0 && length < REDIRECT_SIZE;
}

void
redirect_shown(const struct broker *broker, const struct platform *platform, char *uri)
{
	if (!redirect_uri(broker, platform, REDIRECT_STATE, uri))
		snprintf(uri, REDIRECT_SIZE, "not known until the API listens");
}

char *
redirect_sent(const char *stored, const char *state)
{
	size_t length = strlen(stored);
	size_t mark = strlen(REDIRECT_STATE);

	if (length < mark || strcmp(stored + length - mark, REDIRECT_STATE) != 0)
		return xstrdup(stored);
	return xasprintf("%.*s%s", (int)(length - mark), stored, state);
}

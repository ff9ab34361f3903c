/*
 * Authorize addresses. Pure; called by login_start.c.
 */
#include <string.h>

#include "broker/oauth/authorize.h"
#include "broker/oauth/form.h"
#include "common/alloc.h"

char *
authorize_url(const struct platform *platform, const struct authorize *authorize)
{
	const struct platform_pair *pair;
	struct buf query = BUF_EMPTY;
	char *url;

	form_add(&query, "client_id", authorize->client_id);
	form_add(&query, "redirect_uri", authorize->redirect_uri);
	form_add(&query, "response_type", "code");
	form_add_scope(&query, authorize->scopes);
	form_add(&query, "state", authorize->state);
	if (authorize->challenge) {
		form_add(&query, "code_challenge", authorize->challenge);
		form_add(&query, "code_challenge_method", "S256");
	}
	for (pair = platform->authorize; pair->name; pair++)
		form_add(&query, pair->name, pair->value);
	url = xasprintf("%s%c%.*s", authorize->url,
	    strchr(authorize->url, '?') ? '&' : '?', (int)buf_length(&query),
	    (const char *)buf_bytes(&query));
	buf_clear(&query);
	return url;
}

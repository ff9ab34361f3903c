/*
 * The address that a login begins with.
 */
#ifndef BROKER_OAUTH_AUTHORIZE_H
#define BROKER_OAUTH_AUTHORIZE_H

#include "broker/oauth/platform.h"

struct authorize {
	const char *url; /* of the platform, as configured */
	const char *client_id;
	const char *redirect_uri;
	const char *scopes;
	const char *state;
	const char *challenge; /* NULL: the platform has no PKCE */
};

/*
 * The authorize address. Its parameters come in this order: client_id, redirect_uri,
 * response_type, scope, state, code_challenge and code_challenge_method with PKCE, and
 * then those of the platform. The caller frees.
 */
char *authorize_url(const struct platform *platform, const struct authorize *authorize);

#endif

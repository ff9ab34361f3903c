/*
 * Identities. Pure; filled in by the platforms' files, judged by login_finish.c.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/identity.h"
#include "common/alloc.h"
#include "common/text.h"

void
identity_clear(struct identity *identity)
{
	size_t i;

	free(identity->user_id);
	free(identity->login);
	free(identity->display_name);
	free(identity->own_name);
	for (i = 0; i < identity->name_count; i++)
		free(identity->names[i]);
	*identity = (struct identity){ .user_id = NULL };
}

void
identity_set(char **member, const char *value)
{
	if (!value)
		return;
	free(*member);
	*member = xstrdup(value);
}

void
identity_add_name(struct identity *identity, const char *name)
{
	if (!name || identity->name_count == IDENTITY_NAMES_MAX ||
	    identity_has_name(identity, name))
		return;
	identity->names[identity->name_count++] = xstrdup(name);
}

bool
identity_is_known(const struct identity *identity)
{
	return identity->name_count > 0;
}

bool
identity_has_name(const struct identity *identity, const char *name)
{
	size_t i;

	for (i = 0; i < identity->name_count; i++)
		if (text_equal_nocase(identity->names[i], name))
			return true;
	return false;
}

const char *
identity_own_name(const struct identity *identity)
{
	const char *name = identity->own_name;

	if (name && text_is_username(name, strlen(name)))
		return name;
	name = identity->user_id;
	return name && text_is_username(name, strlen(name)) ? name : NULL;
}

/*
 * The version text, in a file of its own so that a new commit rebuilds only this one.
 */
#include <stdio.h>

#include "common/version.h"

const char *
version_text(void)
{
	return VERSION_TEXT;
}

const char *
version_commit(void)
{
	return VERSION_COMMIT;
}

const char *
version_libraries(void)
{
	return VERSION_LIBRARIES;
}

void
version_print(const char *program)
{
	(void)printf("%s %s\ncommit %s\nbuilt with %s\n", program, VERSION_TEXT,
	    VERSION_COMMIT, VERSION_LIBRARIES);
}

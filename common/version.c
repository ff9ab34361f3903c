/*
 * The version text, in a file of its own so that a new commit rebuilds only this one.
 */
#include "common/version.h"

const char *
version_text(void)
{
	return STREAMHOLD_VERSION;
}

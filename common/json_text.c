/*
 * Text of JSON values, for the configuration and the broker's events. Not for secrets:
 * the text is in ordinary memory.
 */
#include "common/alloc.h"
#include "common/json_text.h"

char *
json_text(const json_t *value)
{
	char *written = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	char *text = written ? xstrdup(written) : NULL;
	json_free_t release;

	json_get_alloc_funcs(NULL, &release);
	release(written);
	return text;
}

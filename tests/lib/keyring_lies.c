/*
 * A keyring that gives another value back than it was given: loaded into the keystore
 * helper (LD_PRELOAD), it replaces the last byte of every value while the file
 * $STREAMHOLD_LIES is there.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef const char *get_fn(void *value, size_t *length);

const char *secret_value_get(void *value, size_t *length);

const char *
secret_value_get(void *value, size_t *length)
{
	static char changed[65536];
	static get_fn *real;
	const char *path = getenv("STREAMHOLD_LIES");
	const char *bytes;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "secret_value_get");
	bytes = real(value, length);
	if (!bytes || !path || access(path, F_OK) < 0 || *length == 0 ||
	    *length > sizeof(changed))
		return bytes;
	memcpy(changed, bytes, *length);
	/* Not what it was, however often: libsecret calls this when it writes, too. */
	changed[*length - 1] = '~';
	return changed;
}

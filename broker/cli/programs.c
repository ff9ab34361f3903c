/*
 * Finds the programs that this one starts: the daemons for `streamhold up`, the broker
 * for a check of its database.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/programs.h"
#include "common/alloc.h"

int
programs_folder(char *ret_folder, size_t size)
{
	static const char installed[] = "/../libexec/streamhold";
	ssize_t length = readlink("/proc/self/exe", ret_folder, size - 1);
	char *broker;
	char *last;

	if (length <= 0)
		return length < 0 ? -errno : -ENOENT;
	ret_folder[length] = '\0';
	last = strrchr(ret_folder, '/');
	if (last)
		*last = '\0';
	length = (ssize_t)strlen(ret_folder);
	broker = xasprintf("%s/streamhold-broker", ret_folder);
	if (access(broker, X_OK) < 0 && (size_t)length + sizeof(installed) <= size)
		memcpy(ret_folder + length, installed, sizeof(installed));
	free(broker);
	return 0;
}

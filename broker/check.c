/*
 * Looks for damage in the database of a broker that does not run, for a person. Called
 * by main() in the place of everything else; it opens no socket and no keystore.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/check.h"
#include "broker/store/store_check.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/json_out.h"
#include "common/log.h"
#include "common/process.h"

struct findings {
	char *text[STORE_CHECK_MAX];
	size_t count;
};

static void
on_finding(void *arg, const char *finding)
{
	struct findings *findings = arg;

	if (findings->count < STORE_CHECK_MAX)
		findings->text[findings->count++] = xstrdup(finding);
}

static void
print_json(const struct broker *broker, const struct findings *findings, int all,
    uint64_t events)
{
	struct buf line = BUF_EMPTY;
	struct json_out json = json_out_on(&line);
	size_t i;

	out_object(&json, NULL);
	out_number(&json, "format_version", 1);
	out_text(&json, "database", broker->paths.database);
	out_flag(&json, "sound", all == 0);
	out_number(&json, "events", events);
	out_array(&json, "findings");
	for (i = 0; i < findings->count; i++)
		out_text(&json, NULL, findings->text[i]);
	out_array_end(&json);
	out_object_end(&json);
	printf("%.*s\n", (int)buf_length(&line), (const char *)buf_bytes(&line));
	buf_clear(&line);
}

static void
print_text(const struct broker *broker, const struct findings *findings, int all,
    uint64_t events)
{
	size_t i;

	for (i = 0; i < findings->count; i++)
		printf("%s\n", log_quote(findings->text[i]));
	if ((size_t)all > findings->count)
		printf("and %zu more\n", (size_t)all - findings->count);
	if (all == 0)
		printf("database '%s' is sound, %" PRIu64 " events\n",
		    log_quote(broker->paths.database), events);
	else
		(void)fprintf(stderr,
		    "streamhold-broker: database '%s' is damaged; " STORE_DAMAGED_AFTER
		    "\n",
		    log_quote(broker->paths.database));
}

int
check_database(const struct broker *broker, bool json)
{
	struct findings findings = { .count = 0 };
	char error[STORE_ERROR_SIZE];
	uint64_t events = 0;
	int all =
	    store_check(broker->paths.database, on_finding, &findings, &events, error);

	if (all < 0)
		(void)fprintf(stderr, "streamhold-broker: %s\n%s", error,
		    all == -EBUSY ? "  next: systemctl stop streamhold-broker, or end "
				    "`streamhold up`\n"
				  : "  next: streamhold config show\n");
	else if (json)
		print_json(broker, &findings, all, events);
	else
		print_text(broker, &findings, all, events);
	while (findings.count > 0)
		free(findings.text[--findings.count]);
	return all == 0 ? EXIT_STOPPED : EXIT_CONFIG;
}

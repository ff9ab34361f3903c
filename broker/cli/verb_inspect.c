/*
 * `streamhold inspect`: everything that the broker tells about itself, by section.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "common/text.h"

typedef void section_fn(void *arg, const struct rows *rows, const char *section);

/* Calls for each section in the order of its first row; rows of one section need not
 * stand together. */
static void
each_section(const struct rows *rows, section_fn *call, void *arg)
{
	size_t i;
	size_t before;

	for (i = 0; i < rows->count; i++) {
		const char *section = rows->items[i].report.section;

		for (before = 0; before < i; before++)
			if (strcmp(rows->items[before].report.section, section) == 0)
				break;
		if (before == i)
			call(arg, rows, section);
	}
}

static void
section_json(void *arg, const struct rows *rows, const char *section)
{
	struct out_json *json = arg;
	size_t i;

	out_json_open(json, section, '{');
	for (i = 0; i < rows->count; i++) {
		const struct proto_report *row = &rows->items[i].report;
		uint64_t number;

		if (strcmp(row->section, section) != 0)
			continue;
		if (row->number &&
		    text_to_u64(row->value, strlen(row->value), UINT64_MAX, &number))
			out_json_number(json, row->name, number);
		else
			out_json_text(json, row->name, row->value);
	}
	out_json_close(json, '}');
}

static void
section_text(void *arg, const struct rows *rows, const char *section)
{
	const struct cli *cli = arg;
	size_t i;

	(void)printf("%s%s%s%s\n",
	    strcmp(section, rows->items[0].report.section) == 0 ? "" : "\n",
	    talk_on(cli, TALK_BOLD), section, talk_off(cli, TALK_BOLD));
	for (i = 0; i < rows->count; i++) {
		const struct proto_report *row = &rows->items[i].report;
		char *value;

		if (strcmp(row->section, section) != 0)
			continue;
		value = out_escape(row->value, strlen(row->value));
		(void)printf("  %-32s %s\n", row->name, *value ? value : "-");
		free(value);
	}
}

int
verb_inspect(struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_report_get };
	struct out_json json;
	struct rows rows;
	int status = rows_ask_once(cli, &msg, &rows, NULL);

	if (status == CLI_OK && cli->json) {
		out_json_start(&json);
		out_json_open(&json, "sections", '{');
		each_section(&rows, section_json, &json);
		out_json_close(&json, '}');
		out_json_finish(&json);
	} else if (status == CLI_OK) {
		each_section(&rows, section_text, cli);
	}
	rows_clear(&rows);
	return status;
}

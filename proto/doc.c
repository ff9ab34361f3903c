/*
 * Prints docs/protocol.md from the tables. Built as streamhold-proto-doc; a structure
 * test compares its output with the committed page.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proto/chan.h"
#include "proto/proto.h"

static const char *const kinds[] = { "text", "bytes", "secret", "u32", "u64", "flag" };

static const char *
direction_text(enum proto_direction direction)
{
	switch (direction) {
	case PROTO_TO_BROKER:
		return "to the broker";
	case PROTO_TO_PEER:
		return "from the broker";
	case PROTO_TO_VAULT:
		return "to the keystore helper";
	case PROTO_FROM_VAULT:
		return "from the keystore helper";
	case PROTO_ANSWER:
		return "from the one that was asked";
	default:
		return "both ways";
	}
}

static void
print_answer(const struct proto_schema *schema)
{
	const struct proto_schema *answer = proto_schema((unsigned)schema->answer);

	if (!answer)
		return;
	if (schema->direction & PROTO_ANSWER)
		printf(" A row of a list that `%s` closes.", answer->name);
	else
		printf(" Answered by `%s` or `failed`; %s", answer->name,
		    schema->again ? "may be repeated to a restarted broker."
				  : "never sent twice.");
}

static void
print_fields(const struct proto_schema *schema)
{
	size_t i;

	if (schema->field_count == 0)
		return;
	printf("\n| field | kind | least | most | meaning |\n| --- | --- | --- | --- | "
	       "--- |\n");
	for (i = 0; i < schema->field_count; i++) {
		const struct proto_field *field = &schema->fields[i];

		printf("| `%s` | %s%s | %llu | %llu | %s |\n", field->name,
		    kinds[field->kind], field->maybe ? ", may be absent" : "",
		    (unsigned long long)field->least, (unsigned long long)field->most,
		    field->doc);
	}
}

static void
print_messages(void)
{
	const struct proto_schema *schema;
	size_t i;

	for (i = 0; (schema = proto_schema_at(i)); i++) {
		printf("\n### %s (%d)\n\n%s: %s.", schema->name, schema->type,
		    direction_text(schema->direction), schema->doc);
		print_answer(schema);
		printf("\n");
		print_fields(schema);
	}
}

static void
print_errors(void)
{
	unsigned i;

	printf(
	    "\n## Errors\n\nThe `code` of `failed`, also the header `Streamhold-Error` "
	    "of the HTTP API.\n\n| code | HTTP status | exit status | meaning |\n"
	    "| --- | --- | --- | --- |\n");
	for (i = 1; i < ERR_MAX; i++) {
		const struct proto_error_info *info =
		    proto_error_info((enum proto_error)i);

		printf("| `%s` | %d | %d | %s |\n", info->name, info->http_status,
		    info->exit_status, info->doc);
	}
}

int
main(void)
{
	printf(
	    "<!-- Made by streamhold-proto-doc from proto/messages.def; do not edit. "
	    "-->\n"
	    "# The protocol between the processes\n\n"
	    "Unix stream sockets. The broker connects to each front's link socket; the "
	    "`streamhold` command connects to the broker's; the keystore helper is "
	    "started with one end of a pair. A frame is a 4-byte "
	    "big-endian "
	    "length and one MessagePack array `[type, rid, field, ...]` with the "
	    "fields in "
	    "the order given here; an absent field is `nil`. `rid` pairs a request "
	    "with its "
	    "answer and is 0 in a notification. Texts are UTF-8 or foreign bytes "
	    "without "
	    "NUL; bounds of texts, bytes and secrets are lengths in bytes. A list is "
	    "answered by rows and then the message that closes it.\n\n"
	    "Frames are at most %d bytes with their length, on the webhook link "
	    "`webhooks.max_body_bytes` + %d, to the keystore helper %d; each side says "
	    "in `hello` what it "
	    "accepts. "
	    "Both must have the same schema. Anything that the tables do not allow "
	    "closes "
	    "the connection.\n\n"
	    "Limits: %d requests in flight on a link, %d ms for both hellos, %d bytes "
	    "waiting to be read by a peer.\n\n## Messages\n",
	    PROTO_FRAME_MAX, PROTO_FRAME_EXTRA, PROTO_FRAME_VAULT_MAX, CHAN_PENDING_MAX,
	    CHAN_HELLO_MS, CHAN_OUTPUT_MAX);
	print_messages();
	print_errors();
	return ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

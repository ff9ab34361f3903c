/*
 * Fuzzer of frames: any bytes are refused with what is wrong, or give a message that
 * encodes and decodes to the same again. The walk alone is given the same bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "proto/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int condition, const char *claim)
{
	if (condition)
		return;
	fprintf(stderr, "broken: %s\n", claim);
	abort();
}

static struct buf
encode(const struct proto_msg *msg)
{
	struct buf out = BUF_EMPTY;
	const char *what = "";
	int result = proto_encode(msg, proto_schema((unsigned)msg->type)->direction,
	    8 * 1024 * 1024, &out, &what);

	require(result == 0, what);
	return out;
}

static void
check_message(struct proto_msg *msg)
{
	struct buf first = encode(msg);
	struct buf second;
	struct proto_msg again;
	const char *what;
	char text[2000];

	proto_dump(msg, text, sizeof(text));
	require(proto_decode(buf_bytes(&first) + 4, buf_length(&first) - 4, PROTO_BOTH,
		    &again, &what) == 0,
	    "what was encoded can be decoded");
	require(
	    again.type == msg->type && again.rid == msg->rid, "the header is the same");
	second = encode(&again);
	require(buf_length(&first) == buf_length(&second) &&
		memcmp(buf_bytes(&first), buf_bytes(&second), buf_length(&first)) == 0,
	    "the fields are the same");
	buf_clear(&first);
	buf_clear(&second);
	proto_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proto_msg msg;
	const char *what = NULL;
	int walks = proto_walk(data, size);

	if (proto_decode(data, size, PROTO_BOTH, &msg, &what) < 0) {
		require(what && what[0], "a refusal says what is wrong");
		return 0;
	}
	require(walks, "nothing is decoded that the walk refuses");
	check_message(&msg);
	proto_clear(&msg);
	require(msg.type == MSG_none, "a cleared message is none");
	return 0;
}

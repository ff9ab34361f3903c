/*
 * Lets test_http_table.py ask the request reader: from standard input, again and again,
 * four bytes of length (little-endian) and that many bytes of a connection; for each
 * one line, the outcomes of the whole bytes ("ok 400:bare_line_feed"), then " | same"
 * or where a cut changes them.
 */
#include "tests/unit/http_replay.h"

#define INPUT_MAX (1 << 20)

int
main(void)
{
	unsigned char head[4];
	while (fread(head, 1, 4, stdin) == 4) {
		size_t size = (size_t)head[0] | (size_t)head[1] << 8 |
		    (size_t)head[2] << 16 | (size_t)head[3] << 24;
		if (size > INPUT_MAX)
			return 1;
		uint8_t *data = malloc(size + 1);
		if (data == NULL || fread(data, 1, size, stdin) != size)
			return 1;
		struct replay_text text = replay_text(
		    data, size, replay_cut_nowhere, NULL, true, REPLAY_BODY_LIMIT);
		const char *cut = replay_disagreement(data, size, REPLAY_BODY_LIMIT);
		(void)printf("%s| %s\n", text.data, cut == NULL ? "same" : cut);
		free(text.data);
		free(data);
	}
	return 0;
}

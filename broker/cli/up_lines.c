/*
 * Forwards the log lines of children to standard error: whole lines, of bounded length,
 * and nothing that could drive a terminal.
 *
 * A reader that does not keep up (a stopped terminal, a full pipe) must not stop the
 * supervisor, so lines that cannot be written within a moment are dropped and counted.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/up.h"

/* How long the reader of standard error is waited for, once. */
#define PATIENCE_MS 200

/* Reads of one turn, so that a chatty child does not keep the others waiting. */
#define READS_A_TURN 16

static bool stuck;
static unsigned long dropped;

static bool
can_write(void)
{
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

	stuck = poll(&out, 1, stuck ? 0 : PATIENCE_MS) != 1;
	return !stuck;
}

static void
write_line(const char *text, size_t length)
{
	char note[64];
	int size;
	ssize_t ignored;

	if (!can_write()) {
		dropped++;
		return;
	}
	if (dropped > 0) {
		size = snprintf(note, sizeof(note), "(%lu lines dropped)\n", dropped);
		dropped = 0;
		ignored = write(STDERR_FILENO, note, (size_t)size);
	}
	ignored = write(STDERR_FILENO, text, length);
	(void)ignored; /* There is no place left to report it. */
}

/* Lines of our programs are printable ASCII already; those of a sanitizer or of a
 * program that was taken over need not be. */
static void
emit(struct up_lines *lines)
{
	char text[UP_LINE_MAX * 4 + 8];
	size_t used = 0;
	size_t i;

	for (i = 0; i < lines->length; i++) {
		unsigned char byte = (unsigned char)lines->text[i];

		if ((byte >= 0x20 && byte < 0x7f) || byte == '\t')
			text[used++] = (char)byte;
		else
			used += (size_t)snprintf(
			    text + used, sizeof(text) - used, "\\x%02x", byte);
	}
	if (lines->cut) {
		memcpy(text + used, "...", 3);
		used += 3;
	}
	text[used++] = '\n';
	write_line(text, used);
	lines->length = 0;
	lines->cut = false;
}

static void
take(struct up_lines *lines, const char *bytes, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if (bytes[i] == '\n')
			emit(lines);
		else if (lines->length < sizeof(lines->text))
			lines->text[lines->length++] = bytes[i];
		else
			lines->cut = true;
	}
}

bool
up_lines_read(struct up_lines *lines, int fd)
{
	char bytes[UP_LINE_MAX];
	unsigned turn;
	ssize_t length;

	for (turn = 0; turn < READS_A_TURN; turn++) {
		length = read(fd, bytes, sizeof(bytes));
		if (length > 0)
			take(lines, bytes, (size_t)length);
		else if (length == 0)
			return false;
		else if (errno != EINTR)
			return errno == EAGAIN;
	}
	return true;
}

void
up_lines_flush(struct up_lines *lines)
{
	if (lines->length > 0)
		emit(lines);
}

/*
 * The one place that writes log lines, used by every program.
 *
 * A line leaves in a single write(2), so lines of several threads and processes do
 * not mix.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/time.h"

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static const int syslog_levels[] = { 3, 4, 6, 7 };

static const char *program_name = "streamhold";
static enum log_level configured_level = LOG_LEVEL_info;
static enum log_level current_level = LOG_LEVEL_info;
static enum log_format current_format = LOG_FORMAT_text;
static bool journal;

/* Subject and level, and what the running second has seen of them. Subjects are few
 * and static; should there be more than fit, the rest share the last place. */
#define RATE_KINDS_MAX 32

struct rate_kind {
	char subject[24];
	enum log_level level;
	unsigned count;
	unsigned suppressed;
};

static pthread_mutex_t rate_lock = PTHREAD_MUTEX_INITIALIZER;
static time_t rate_second;
static struct rate_kind rate_kinds[RATE_KINDS_MAX];
static size_t rate_kind_count;

/* The variable names the journal's socket by device and inode, and is passed on to
 * children whose standard error leads elsewhere (systemd.exec(5)). */
static bool
is_journal(const char *stream)
{
	unsigned long long device;
	unsigned long long inode;
	struct stat info;
	char after;

	return stream && sscanf(stream, "%llu:%llu%c", &device, &inode, &after) == 2 &&
	    fstat(STDERR_FILENO, &info) == 0 && info.st_dev == device &&
	    info.st_ino == inode;
}

void
log_open(const char *program)
{
	program_name = program;
	journal = is_journal(getenv("JOURNAL_STREAM"));
}

void
log_set_level(enum log_level level)
{
	configured_level = level;
	current_level = level;
}

void
log_set_format(enum log_format format)
{
	current_format = format;
}

enum log_level
log_get_level(void)
{
	return current_level;
}

void
log_toggle_debug(void)
{
	if (current_level != LOG_LEVEL_debug)
		current_level = LOG_LEVEL_debug;
	else
		current_level = configured_level == LOG_LEVEL_debug ? LOG_LEVEL_info
								    : configured_level;
}

const char *
log_quote_n(const void *text, size_t length)
{
	static _Thread_local char buffers[8][LOG_QUOTE_MAX + 4];
	static _Thread_local unsigned next;
	char *buffer = buffers[next++ % 8];

	if (!text)
		return "-";
	if (length <= LOG_QUOTE_MAX) {
		memcpy(buffer, text, length);
		buffer[length] = '\0';
	} else {
		memcpy(buffer, text, LOG_QUOTE_MAX);
		memcpy(buffer + LOG_QUOTE_MAX, "...", 4);
	}
	return buffer;
}

const char *
log_quote(const char *text)
{
	return log_quote_n(text, text ? strlen(text) : 0);
}

/* Escapes `text` into `line` from `used` on; in JSON with its own escapes. */
static size_t
escape(char *line, size_t used, size_t size, const char *text, bool json)
{
	const unsigned char *byte;

	for (byte = (const unsigned char *)text; *byte && used + 8 < size; byte++) {
		if (json && (*byte == '"' || *byte == '\\')) {
			line[used++] = '\\';
			line[used++] = (char)*byte;
		} else if (*byte >= 0x20 && *byte < 0x7f) {
			line[used++] = (char)*byte;
		} else {
			used += (size_t)snprintf(line + used, size - used,
			    json ? "\\u00%02x" : "\\x%02x", *byte);
		}
	}
	return used;
}

static size_t
compose(char *line, size_t size, enum log_level level, const char *subject,
    const char *sentence)
{
	char stamp[TIME_TEXT_SIZE];
	bool json = current_format == LOG_FORMAT_json;
	int head;
	size_t used;

	time_format(time_now_ms(), stamp);
	if (json)
		head = snprintf(line, size,
		    "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"subject\":"
		    "\"%s\",\"message\":\"",
		    stamp, level_names[level], program_name, subject);
	else if (journal)
		head = snprintf(line, size, "<%d>%s: ", syslog_levels[level], subject);
	else
		head = snprintf(line, size, "%s %s %s %s: ", stamp, level_names[level],
		    program_name, subject);
	used = escape(line, (size_t)head, size, sentence, json);
	if (json) {
		line[used++] = '"';
		line[used++] = '}';
	}
	line[used++] = '\n';
	return used;
}

static void
put(enum log_level level, const char *subject, const char *sentence)
{
	char line[LOG_LINE_MAX];
	size_t length = compose(line, sizeof(line), level, subject, sentence);
	ssize_t ignored = write(STDERR_FILENO, line, length);

	(void)ignored; /* There is no place left to report it. */
}

static struct rate_kind *
rate_kind_locked(enum log_level level, const char *subject)
{
	struct rate_kind *kind;
	size_t i;

	for (i = 0; i < rate_kind_count; i++)
		if (rate_kinds[i].level == level &&
		    strncmp(rate_kinds[i].subject, subject,
			sizeof(rate_kinds[i].subject) - 1) == 0)
			return &rate_kinds[i];
	if (rate_kind_count == RATE_KINDS_MAX)
		return &rate_kinds[RATE_KINDS_MAX - 1];
	kind = &rate_kinds[rate_kind_count++];
	(void)snprintf(kind->subject, sizeof(kind->subject), "%s", subject);
	kind->level = level;
	return kind;
}

/* Tells what the second before left out, and begins to count anew. */
static void
rate_begin_locked(time_t second)
{
	char sentence[80];
	size_t i;

	rate_second = second;
	for (i = 0; i < rate_kind_count; i++) {
		struct rate_kind *kind = &rate_kinds[i];

		kind->count = 0;
		if (!kind->suppressed)
			continue;
		(void)snprintf(sentence, sizeof(sentence),
		    "%u lines of '%.40s' suppressed", kind->suppressed, kind->subject);
		kind->suppressed = 0;
		put(LOG_LEVEL_warning, "log", sentence);
	}
}

/* Counts a line against its kind's rate; false when it is to be left out. */
static bool
rate_allows_locked(enum log_level level, const char *subject)
{
	time_t second = time(NULL);
	struct rate_kind *kind;

	if (second != rate_second)
		rate_begin_locked(second);
	if (level >= LOG_LEVEL_info && current_level == LOG_LEVEL_debug)
		return true;
	kind = rate_kind_locked(level, subject);
	if (kind->count < LOG_RATE) {
		kind->count++;
		return true;
	}
	kind->suppressed++;
	return false;
}

static bool
rate_allows(enum log_level level, const char *subject)
{
	bool allowed;

	(void)pthread_mutex_lock(&rate_lock);
	allowed = rate_allows_locked(level, subject);
	(void)pthread_mutex_unlock(&rate_lock);
	return allowed;
}

__attribute__((format(printf, 3, 0))) static void
vput(enum log_level level, const char *subject, const char *format, va_list arguments)
{
	char sentence[LOG_LINE_MAX];

	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	put(level, subject, sentence);
}

__attribute__((format(printf, 3, 0))) static void
vlog(enum log_level level, const char *subject, const char *format, va_list arguments)
{
	if (level <= current_level && rate_allows(level, subject))
		vput(level, subject, format, arguments);
}

void
log_error(const char *subject, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vlog(LOG_LEVEL_error, subject, format, arguments);
	va_end(arguments);
}

void
log_warning(const char *subject, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vlog(LOG_LEVEL_warning, subject, format, arguments);
	va_end(arguments);
}

void
log_info(const char *subject, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vlog(LOG_LEVEL_info, subject, format, arguments);
	va_end(arguments);
}

void
log_debug(const char *subject, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vlog(LOG_LEVEL_debug, subject, format, arguments);
	va_end(arguments);
}

void
fatal(int status, const char *subject, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vput(LOG_LEVEL_error, subject, format, arguments);
	va_end(arguments);
	exit(status);
}

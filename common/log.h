/*
 * Log lines to standard error: for a person (text), for a machine (json) or for the
 * journal (level prefix when JOURNAL_STREAM names standard error).
 *
 * log_info("token", "refreshed '%s', good for %u s", name, seconds): the subject
 * first, then a sentence with values in single quotes. Everything that a format
 * produces is escaped to printable ASCII on its way out, so text from outside can
 * neither forge a line nor reach a terminal; each line is cut at LOG_LINE_MAX bytes
 * and text from outside is cut by log_quote.
 *
 * Levels: error = someone must act; warning = we carried on; info = life of the
 * service; debug = life of one request. Lines of one subject and level beyond LOG_RATE
 * a second are left out, counted, and reported with the first line of a later second
 * (info and debug excepted when debug is on).
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_LEVEL_error, LOG_LEVEL_warning, LOG_LEVEL_info, LOG_LEVEL_debug };
enum log_format { LOG_FORMAT_text, LOG_FORMAT_json };

#define LOG_LINE_MAX 1000
#define LOG_QUOTE_MAX 200
#define LOG_RATE 50

/* Names the program in every line and sets the defaults (info, text). Call first.
 * `program` must live as long as the process. */
void log_open(const char *program);

void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
enum log_level log_get_level(void);

/* Switches between debug and the configured level (SIGUSR2). */
void log_toggle_debug(void);

__attribute__((format(printf, 2, 3))) void
log_error(const char *subject, const char *format, ...);
__attribute__((format(printf, 2, 3))) void
log_warning(const char *subject, const char *format, ...);
__attribute__((format(printf, 2, 3))) void
log_info(const char *subject, const char *format, ...);
__attribute__((format(printf, 2, 3))) void
log_debug(const char *subject, const char *format, ...);

/* Copies foreign text cut to LOG_QUOTE_MAX bytes into one of eight rotating static
 * buffers, for use as a '%s' argument. NULL gives "-". */
const char *log_quote(const char *text);
const char *log_quote_n(const void *text, size_t length);

/* Logs at level error, whatever the rate, and ends the process with the exit status of
 * design.md 2. */
__attribute__((format(printf, 3, 4), noreturn)) void
fatal(int status, const char *subject, const char *format, ...);

#endif

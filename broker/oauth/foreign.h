/*
 * Text of others in sentences for people: cut, and free of everything that could move
 * a cursor or forge a line. HTML is escaped by whoever makes a page.
 */
#ifndef BROKER_OAUTH_FOREIGN_H
#define BROKER_OAUTH_FOREIGN_H

#include <stddef.h>

/* Bytes of a piece of foreign text with its NUL. */
#define FOREIGN_SIZE 240

/* Copies text: control characters become \xNN, bytes beyond ASCII too unless the whole
 * text is UTF-8; what does not fit is replaced by "...". NULL gives "". `out` takes
 * FOREIGN_SIZE bytes. */
void foreign_text(const char *text, char *out);

#endif

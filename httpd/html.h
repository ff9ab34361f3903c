/*
 * The few HTML pages: a frame with a style of its own, which the content security
 * policy allows by its hash, and nothing from elsewhere.
 */
#ifndef HTTPD_HTML_H
#define HTTPD_HTML_H

#include "common/buf.h"

/* Content-Type of all of them. */
#define HTML_TYPE "text/html; charset=utf-8"

/* Appends text with everything escaped that HTML gives a meaning; bytes that are not
 * UTF-8 and control characters become '?'. */
void html_text(struct buf *out, const char *text);
void html_text_n(struct buf *out, const char *text, size_t length);

#endif

/*
 * Which build this is.
 */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

/* For instance "0.1.0", or "0.1.0+3.g1a2b3c4" between releases; static. */
const char *version_text(void);

/* The commit it was built from, in full, or "unknown"; static. */
const char *version_commit(void);

/* The libraries it was built with, "NAME VERSION, NAME VERSION"; static. */
const char *version_libraries(void);

/* Prints the answer to --version on standard output: program and version, the commit,
 * the libraries; a line each. */
void version_print(const char *program);

#endif

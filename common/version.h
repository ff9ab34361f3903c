/*
 * Which build this is.
 */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

/* For instance "0.1.0+v0.1.0-3-g1a2b3c4"; static. */
const char *version_text(void);

#endif

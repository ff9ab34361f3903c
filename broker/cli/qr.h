/*
 * A text as a QR code on the terminal, for a telephone's camera.
 */
#ifndef BROKER_CLI_QR_H
#define BROKER_CLI_QR_H

#include <stdbool.h>
#include <stdio.h>

/* Whether this build can make them (libqrencode). */
bool qr_possible(void);

/* Writes the code with half blocks, dark on light whatever the terminal's colours, with
 * a margin of four modules. False when the text is too long or qr_possible is false;
 * nothing was written then. */
bool qr_print(FILE *file, const char *text);

#endif

/*
 * QR codes with libqrencode; the only user of that library. A build without it has no
 * codes and says so.
 */
#include "broker/cli/qr.h"

#ifdef STREAMHOLD_QRENCODE

#include <qrencode.h>

/* Light modules around a code, which cameras need (ISO/IEC 18004, 6.3.8). */
#define MARGIN 4

/* Black on white, by number and not by the terminal's own names for colours. */
#define COLORS_ON "\033[38;5;16;48;5;231m"
#define COLORS_OFF "\033[0m"

bool
qr_possible(void)
{
	return true;
}

static bool
is_dark(const QRcode *code, int row, int column)
{
	if (row < 0 || column < 0 || row >= code->width || column >= code->width)
		return false;
	return code->data[row * code->width + column] & 1;
}

/* Two rows of modules are one line of text. */
static void
print_line(FILE *file, const QRcode *code, int row)
{
	static const char *const blocks[2][2] = { { " ", "\u2584" },
		{ "\u2580", "\u2588" } };
	int column;

	(void)fputs(COLORS_ON, file);
	for (column = -MARGIN; column < code->width + MARGIN; column++)
		(void)fputs(
		    blocks[is_dark(code, row, column)][is_dark(code, row + 1, column)],
		    file);
	(void)fputs(COLORS_OFF "\n", file);
}

bool
qr_print(FILE *file, const char *text)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);
	int row;

	if (!code)
		return false;
	for (row = -MARGIN; row < code->width + MARGIN; row += 2)
		print_line(file, code, row);
	QRcode_free(code);
	return true;
}

#else

bool
qr_possible(void)
{
	return false;
}

bool
qr_print(FILE *file, const char *text)
{
	(void)file;
	(void)text;
	return false;
}

#endif

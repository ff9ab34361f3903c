/*
 * Small questions about text that several programs ask: UTF-8, case, names, base64.
 */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms,
 * nothing above U+10FFFF). */
bool text_is_utf8(const char *text, size_t length);

/* Whether a user name may be used: 1 to TEXT_USERNAME_MAX bytes of UTF-8, no control
 * characters, no '/' (design.md 9). */
#define TEXT_USERNAME_MAX 100
bool text_is_username(const char *text, size_t length);

/* Compares without regard to ASCII case; other bytes must be equal. */
bool text_equal_nocase(const char *a, const char *b);

/* A copy with ASCII letters in lower case, the key under which names are compared.
 * The caller frees. */
char *text_fold(const char *text);

/* Ends a UTF-8 text that is longer than `most` bytes there or up to three bytes
 * earlier, at a whole character. */
void text_cut(char *text, size_t most);

/* Reads decimal digits only; the whole text must be a number up to `most`. */
bool text_to_u64(const char *text, size_t length, uint64_t most, uint64_t *ret_value);

/* Base64 with the standard alphabet and padding (RFC 4648 section 4), strict: no
 * white space, exact padding, unused bits zero. `size` is the room at `bytes`, which may
 * be the place of the text.
 * 0, or -EINVAL for ill-formed text, -ENOSPC when it does not fit. */
int base64_decode(
    const char *text, size_t length, uint8_t *bytes, size_t size, size_t *ret_length);

/* Standard base64 with padding. The caller frees, or gives BASE64_SIZE bytes. */
#define BASE64_SIZE(length) (((length) + 2) / 3 * 4 + 1)
char *base64_encode(const void *bytes, size_t length);
void base64_encode_to(const void *bytes, size_t length, char *text);

/* Base64url without padding (RFC 4648 section 5), as PKCE and our states use it.
 * `text` takes BASE64URL_SIZE(length) bytes, with its NUL. */
#define BASE64URL_SIZE(length) (((length)*4 + 2) / 3 + 1)
void base64url_encode(const void *bytes, size_t length, char *text);

/* Lower-case hex with NUL; `text` takes 2 * length + 1 bytes. */
void hex_encode(const void *bytes, size_t length, char *text);

#endif

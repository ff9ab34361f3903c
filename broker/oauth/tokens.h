/*
 * The tokens of an account, and how they lie in one sealed secret.
 */
#ifndef BROKER_OAUTH_TOKENS_H
#define BROKER_OAUTH_TOKENS_H

#include "common/secret.h"

struct tokens {
	struct secret access;
	struct secret refresh; /* empty: none was given */
};

/* Wipes and empties. */
void tokens_clear(struct tokens *tokens);

/*
 * One secret of all: a byte TOKENS_FORMAT, then each token in the order above as its
 * length in four bytes, most significant first, and its bytes. The other format has a
 * third token behind them, which is read over.
 */
#define TOKENS_FORMAT 2
#define TOKENS_FORMAT_OF_THREE 1
struct secret tokens_pack(const struct tokens *tokens);

/* 0, or -EBADMSG. *ret_tokens is the caller's to clear. */
int tokens_unpack(const struct secret *packed, struct tokens *ret_tokens);

#endif

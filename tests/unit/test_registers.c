/*
 * What a copy leaves in the vector registers is gone after wipe_registers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/registers.h"

#ifdef __x86_64__

/* Of a few registers of each kind, by instructions of their own, so that no library
 * function comes between. */

static bool
low_is_left(bool wipe)
{
	uint8_t secret[16];
	uint8_t found[2][16];

	memset(secret, 0x5a, sizeof(secret));
	__asm__ volatile("movdqu (%0), %%xmm3\n\tmovdqu (%0), %%xmm15"
			 :
			 : "r"(secret)
			 : "xmm3", "xmm15", "memory");
	if (wipe)
		wipe_registers();
	__asm__ volatile("movdqu %%xmm3, (%0)\n\tmovdqu %%xmm15, 16(%0)"
			 :
			 : "r"(found)
			 : "memory");
	return memcmp(found[0], secret, 16) == 0 || memcmp(found[1], secret, 16) == 0;
}

__attribute__((target("avx512f"))) static bool
high_is_left(bool wipe)
{
	uint8_t secret[64];
	uint8_t found[3][64];

	memset(secret, 0x5a, sizeof(secret));
	__asm__ volatile("vmovdqu64 (%0), %%zmm5\n\tvmovdqu64 (%0), %%zmm16\n\t"
			 "vmovdqu64 (%0), %%zmm31"
			 :
			 : "r"(secret)
			 : "xmm5", "xmm16", "xmm31", "memory");
	if (wipe)
		wipe_registers();
	__asm__ volatile("vmovdqu64 %%zmm5, (%0)\n\tvmovdqu64 %%zmm16, 64(%0)\n\t"
			 "vmovdqu64 %%zmm31, 128(%0)"
			 :
			 : "r"(found)
			 : "memory");
	for (size_t i = 0; i < 3; i++)
		for (size_t at = 0; at < 64; at += 16)
			if (memcmp(found[i] + at, secret, 16) == 0)
				return true;
	return false;
}

static void
nothing_is_left(void **state)
{
	(void)state;
	assert_true(low_is_left(false));
	assert_false(low_is_left(true));
	if (!__builtin_cpu_supports("avx512f"))
		return;
	assert_true(high_is_left(false));
	assert_false(high_is_left(true));
}

#else

static void
nothing_is_left(void **state)
{
	(void)state;
	wipe_registers();
}

#endif

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_is_left) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

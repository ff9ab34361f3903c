/*
 * Clearing vector registers. Callers expect all of them to be lost in a call, but for
 * halves of eight on arm64, which the compiler saves and brings back. Called by the
 * loops of the broker and of the fronts.
 */
#include "common/registers.h"

#ifdef __x86_64__

#define LOW \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
	    "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

#define CLEAR_SSE(n) "pxor %%xmm" #n ", %%xmm" #n "\n\t"
#define CLEAR_512(n) "vpxorq %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n\t"

__attribute__((target("avx512f"))) static void
clear_upper_half(void)
{
	__asm__ volatile(
	    CLEAR_512(16) CLEAR_512(17) CLEAR_512(18) CLEAR_512(19) CLEAR_512(20)
		CLEAR_512(21) CLEAR_512(22) CLEAR_512(23) CLEAR_512(24) CLEAR_512(25)
		    CLEAR_512(26) CLEAR_512(27) CLEAR_512(28) CLEAR_512(29)
			CLEAR_512(30) CLEAR_512(31)
	    :
	    :
	    : "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",
	    "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
}

/* All that each of the 16 has, however wide it is. */
__attribute__((target("avx"))) static void
clear_all(void)
{
	__asm__ volatile("vzeroall" : : : LOW);
}

static void
clear_sse(void)
{
	__asm__ volatile(CLEAR_SSE(0) CLEAR_SSE(1) CLEAR_SSE(2) CLEAR_SSE(3) CLEAR_SSE(
	    4) CLEAR_SSE(5) CLEAR_SSE(6) CLEAR_SSE(7) CLEAR_SSE(8) CLEAR_SSE(9)
			     CLEAR_SSE(10) CLEAR_SSE(11) CLEAR_SSE(12) CLEAR_SSE(13)
				 CLEAR_SSE(14) CLEAR_SSE(15)
			 :
			 :
			 : LOW);
}

void
wipe_registers(void)
{
	if (__builtin_cpu_supports("avx512f"))
		clear_upper_half();
	if (__builtin_cpu_supports("avx"))
		clear_all();
	else
		clear_sse();
}

#elif defined(__aarch64__)

#define CLEAR(n) "movi v" #n ".16b, #0\n\t"

void
wipe_registers(void)
{
	__asm__ volatile(
	    CLEAR(0) CLEAR(1) CLEAR(2) CLEAR(3) CLEAR(4) CLEAR(5) CLEAR(6) CLEAR(7)
		CLEAR(8) CLEAR(9) CLEAR(10) CLEAR(11) CLEAR(12) CLEAR(13) CLEAR(14)
		    CLEAR(15) CLEAR(16) CLEAR(17) CLEAR(18) CLEAR(19) CLEAR(20)
			CLEAR(21) CLEAR(22) CLEAR(23) CLEAR(24) CLEAR(25) CLEAR(26)
			    CLEAR(27) CLEAR(28) CLEAR(29) CLEAR(30) CLEAR(31)
	    :
	    :
	    : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
	    "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22",
	    "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

#else

void
wipe_registers(void)
{
}

#endif

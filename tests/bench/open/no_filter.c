/*
 * In place of common/sandbox_filter.c, for the programs in bench/open only: without a
 * filter of system calls, so that tests/bench/sandbox_cost can tell what it costs. These
 * programs are built with the benchmarks and are never installed.
 */
#include "common/sandbox_filter.h"

int
sandbox_filter_load(const struct sandbox_table *table)
{
	(void)table;
	return 0;
}

void
sandbox_filter_print(const struct sandbox_table *table, FILE *file)
{
	(void)table;
	(void)fputs("no filter\n", file);
}

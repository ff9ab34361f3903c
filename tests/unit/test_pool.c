/*
 * The allocator of locked memory: pieces, neighbours, alignment, wiping, threads.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/pool.h"

#define SIZE ((size_t)1 << 20)
/* A piece is taken from the next larger list, so this is the most that is surely had.
 */
#define LARGEST (SIZE - SIZE / 16)
#define PIECES 200
#define ROUNDS 40000
#define THREADS 4

struct fixture {
	uint8_t *memory;
	struct pool pool;
};

static int
set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->memory = aligned_alloc(4096, SIZE);
	assert_non_null(f->memory);
	memset(f->memory, 0, SIZE);
	pool_init(&f->pool, f->memory, SIZE);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	free(f->memory);
	free(f);
	return 0;
}

/* Numbers that are the same in every run. */
static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33);
}

static size_t
random_size(uint64_t *seed)
{
	return next_random(seed) % (1U << (1 + next_random(seed) % 13));
}

static void
test_all_is_one_piece_again_when_all_is_given_back(void **state)
{
	struct fixture *f = *state;
	void *pieces[PIECES];
	size_t used;
	size_t most;
	void *large = pool_take(&f->pool, LARGEST, 0);
	size_t i;

	assert_non_null(large);
	assert_null(pool_take(&f->pool, SIZE / 8, 0));
	pool_give(&f->pool, large);
	for (i = 0; i < PIECES; i++)
		assert_non_null(pieces[i] = pool_take(&f->pool, 1000 + i, 0));
	assert_null(pool_take(&f->pool, LARGEST, 0));
	for (i = 0; i < PIECES; i += 2)
		pool_give(&f->pool, pieces[i]);
	for (i = 1; i < PIECES; i += 2)
		pool_give(&f->pool, pieces[i]);
	assert_true(pool_is_sound(&f->pool));
	pool_figures(&f->pool, &used, &most);
	assert_int_equal(used, 0);
	assert_true(most >= LARGEST);
	large = pool_take(&f->pool, LARGEST, 0);
	assert_non_null(large);
	pool_give(&f->pool, large);
}

/* Writes each piece full with a byte of its own and looks whether it is still there. */
static void
test_pieces_do_not_touch_each_other(void **state)
{
	struct fixture *f = *state;
	uint8_t *pieces[PIECES] = { NULL };
	size_t sizes[PIECES];
	uint64_t seed = 1;
	size_t i;
	unsigned round;

	for (round = 0; round < ROUNDS; round++) {
		i = next_random(&seed) % PIECES;
		if (pieces[i]) {
			for (size_t at = 0; at < sizes[i]; at++)
				assert_int_equal(pieces[i][at], (uint8_t)i);
			pool_give(&f->pool, pieces[i]);
			pieces[i] = NULL;
			continue;
		}
		sizes[i] = random_size(&seed);
		pieces[i] = pool_take(&f->pool, sizes[i], 0);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % POOL_ALIGN, 0);
		assert_true(pool_piece_size(pieces[i]) >= sizes[i]);
		assert_true(pool_has(&f->pool, pieces[i]));
		sizes[i] = pool_piece_size(pieces[i]);
		memset(pieces[i], (int)i, sizes[i]);
		if (round % 500 == 0)
			assert_true(pool_is_sound(&f->pool));
	}
	for (i = 0; i < PIECES; i++)
		if (pieces[i])
			pool_give(&f->pool, pieces[i]);
	assert_true(pool_is_sound(&f->pool));
}

static void
test_nothing_legible_is_left(void **state)
{
	static const char secret[] = "a secret of twenty-nine bytes";
	struct fixture *f = *state;
	char *pieces[PIECES];
	size_t i;

	for (i = 0; i < PIECES; i++) {
		pieces[i] = pool_take(&f->pool, 64 + i * 8, 0);
		memcpy(pieces[i] + i, secret, sizeof(secret));
	}
	assert_non_null(memmem(f->memory, SIZE, secret, sizeof(secret)));
	for (i = 0; i < PIECES; i++)
		pool_give(&f->pool, pieces[(i * 7) % PIECES]);
	for (i = 0; i + 8 <= sizeof(secret); i++)
		assert_null(memmem(f->memory, SIZE, secret + i, 8));
}

static void
test_alignment_and_sizes(void **state)
{
	struct fixture *f = *state;
	void *pieces[64];
	size_t count = 0;
	size_t align;
	size_t i;

	for (align = 1; align <= 4096; align *= 2) {
		for (i = 0; i < 3; i++) {
			void *piece = pool_take(&f->pool, 1 + 100 * i, align);

			assert_non_null(piece);
			assert_int_equal((uintptr_t)piece % align, 0);
			assert_true(pool_piece_size(piece) >= 1 + 100 * i);
			memset(piece, 255, pool_piece_size(piece));
			pieces[count++] = piece;
			assert_true(pool_is_sound(&f->pool));
		}
	}
	while (count > 0)
		pool_give(&f->pool, pieces[--count]);
	assert_true(pool_is_sound(&f->pool));
	assert_null(pool_take(&f->pool, SIZE, 0));
	assert_null(pool_take(&f->pool, SIZE_MAX, 0));
	assert_null(pool_take(&f->pool, SIZE_MAX - 64, 4096));
	assert_null(pool_take(&f->pool, 16, SIZE_MAX / 2 + 1));
	for (i = 1; i < SIZE / 2; i = i * 3 / 2 + 1) {
		void *piece = pool_take(&f->pool, i, 0);

		assert_non_null(piece);
		pool_give(&f->pool, piece);
	}
}

static void
test_a_pool_of_nothing_is_always_full(void **state)
{
	struct pool none;
	uint8_t few[64] __attribute__((aligned(16))) = { 0 };

	(void)state;
	pool_init(&none, few, 0);
	assert_null(pool_take(&none, 1, 0));
	assert_false(pool_has(&none, few));
	pool_init(&none, few, 47);
	assert_null(pool_take(&none, 1, 0));
	pool_init(&none, few, 64);
	assert_non_null(pool_take(&none, 1, 0));
	assert_null(pool_take(&none, 1, 0));
}

static void *
work(void *arg)
{
	struct pool *pool = arg;
	uint8_t *pieces[16] = { NULL };
	uint64_t seed = (uintptr_t)&seed;
	unsigned round;
	size_t i;

	for (round = 0; round < ROUNDS; round++) {
		i = next_random(&seed) % 16;
		if (pieces[i]) {
			if (pieces[i][0] != i)
				return (void *)"overwritten";
			pool_give(pool, pieces[i]);
			pieces[i] = NULL;
		} else {
			pieces[i] = pool_take(pool, 1 + random_size(&seed), 0);
			if (pieces[i])
				pieces[i][0] = (uint8_t)i;
		}
	}
	for (i = 0; i < 16; i++)
		if (pieces[i])
			pool_give(pool, pieces[i]);
	return NULL;
}

static void
test_threads_share_it(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];
	void *wrong;
	size_t i;

	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &f->pool), 0);
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	assert_true(pool_is_sound(&f->pool));
	pool_figures(&f->pool, &i, &(size_t){ 0 });
	assert_int_equal(i, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_all_is_one_piece_again_when_all_is_given_back),
		TEST(test_pieces_do_not_touch_each_other),
		TEST(test_nothing_legible_is_left),
		TEST(test_alignment_and_sizes),
		TEST(test_a_pool_of_nothing_is_always_full),
		TEST(test_threads_share_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

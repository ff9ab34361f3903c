/*
 * The plan of a channel's subscriptions, by a table: what is wanted, listed and on
 * record, against what is to be done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/subscriptions/sub_plan.h"

#define NOW 1000000000000LL
#define MINUTE 60000LL
#define LISTED(id_, event_, age) \
	{ \
		.id = id_, .event = event_, .version = 1, .webhook = true, \
		.created_at = NOW - (age) \
	}
#define OWNED(id_, event_, age, listed) \
	{ \
		.id = id_, .event = event_, .version = 1, .made_at = NOW - (age), \
		.listed_at = (listed) ? NOW - (age) : 0 \
	}

/* `done` is what add_all writes: kind, then event or id, for each action in order. */
struct plan_case {
	const char *name;
	const char *wanted[3];
	bool held;
	struct sub_listed listed[4];
	struct sub_owned owned[4];
	const char *asked;
	int64_t asked_age;
	bool impatient;
	bool adopt;
	const char *done;
	enum sub_presence first; /* of the first that is wanted */
};

static const struct plan_case cases[] = {
	{ .name = "all missing",
	    .wanted = { "a", "b" },
	    .done = "+a +b",
	    .first = SUB_CREATE },
	{ .name = "refused a moment ago",
	    .wanted = { "a" },
	    .held = true,
	    .done = "",
	    .first = SUB_MISSING },
	{ .name = "in force",
	    .wanted = { "a" },
	    .listed = { LISTED("1", "a", 9) },
	    .owned = { OWNED("1", "a", 9, true) },
	    .done = "",
	    .first = SUB_IN_FORCE },
	{ .name = "a stranger's serves",
	    .wanted = { "a" },
	    .listed = { LISTED("1", "a", 9) },
	    .done = "",
	    .first = SUB_COVERED },
	{ .name = "a stranger's that is not wanted stays",
	    .wanted = { "a" },
	    .listed = { LISTED("1", "b", 9) },
	    .done = "+a",
	    .first = SUB_CREATE },
	{ .name = "of two of ours the oldest stays",
	    .wanted = { "a" },
	    .listed = { LISTED("2", "a", 5), LISTED("1", "a", 9) },
	    .owned = { OWNED("1", "a", 9, true), OWNED("2", "a", 5, true) },
	    .done = "-2",
	    .first = SUB_IN_FORCE },
	{ .name = "ours and a stranger's both stay",
	    .wanted = { "a" },
	    .listed = { LISTED("1", "a", 9), LISTED("2", "a", 5) },
	    .owned = { OWNED("2", "a", 5, true) },
	    .done = "",
	    .first = SUB_IN_FORCE },
	{ .name = "adopting makes a double ours",
	    .wanted = { "a" },
	    .adopt = true,
	    .listed = { LISTED("1", "a", 9), LISTED("2", "a", 5) },
	    .owned = { OWNED("2", "a", 5, true) },
	    .done = "=1 -2",
	    .first = SUB_IN_FORCE },
	{ .name = "ours that is not wanted goes",
	    .wanted = { NULL },
	    .listed = { LISTED("1", "a", 9), LISTED("2", "a", 9) },
	    .owned = { OWNED("1", "a", 9, true) },
	    .done = "-1" },
	{ .name = "a fresh one is waited for",
	    .wanted = { "a" },
	    .owned = { OWNED("1", "a", MINUTE - 1, false) },
	    .done = "",
	    .first = SUB_AWAITED },
	{ .name = "for a minute",
	    .wanted = { "a" },
	    .owned = { OWNED("1", "a", MINUTE, false) },
	    .done = "+a",
	    .first = SUB_CREATE },
	{ .name = "the second time for four minutes",
	    .wanted = { "a" },
	    .owned = { OWNED("1", "a", 9 * MINUTE, false),
		OWNED("2", "a", 4 * MINUTE - 1, false) },
	    .done = "",
	    .first = SUB_AWAITED },
	{ .name = "unless somebody asks",
	    .wanted = { "a" },
	    .impatient = true,
	    .owned = { OWNED("1", "a", 9 * MINUTE, false),
		OWNED("2", "a", 2 * MINUTE, false) },
	    .done = "+a",
	    .first = SUB_CREATE },
	{ .name = "what was listed and is dropped comes again at once",
	    .wanted = { "a" },
	    .owned = { OWNED("1", "a", 5, true) },
	    .done = "+a",
	    .first = SUB_CREATE },
	{ .name = "a lost answer is waited for",
	    .wanted = { "a", "b" },
	    .asked = "a",
	    .asked_age = 5,
	    .done = "+b",
	    .first = SUB_AWAITED },
	{ .name = "and claimed when it is listed",
	    .wanted = { "a" },
	    .asked = "a",
	    .asked_age = 5,
	    .listed = { LISTED("1", "a", 4) },
	    .done = "=1",
	    .first = SUB_IN_FORCE },
	{ .name = "but not what is older than the asking",
	    .wanted = { "a" },
	    .asked = "a",
	    .asked_age = 5,
	    .listed = { LISTED("1", "a", 9 * MINUTE) },
	    .done = "",
	    .first = SUB_COVERED },
	{ .name = "hidden and not wanted is removed by its id",
	    .wanted = { NULL },
	    .owned = { OWNED("1", "a", 5, false) },
	    .done = "-1" },
	{ .name = "a record that is old is forgotten",
	    .wanted = { "a" },
	    .listed = { LISTED("2", "a", 5) },
	    .owned = { OWNED("1", "a", SUB_FORGET_MS + 1, true),
		OWNED("2", "a", 5, true) },
	    .done = "?1",
	    .first = SUB_IN_FORCE },
	{ .name = "another version serves nothing",
	    .wanted = { "a" },
	    .listed = { { .id = "1", .event = "a", .version = 2, .webhook = true } },
	    .done = "+a",
	    .first = SUB_CREATE },
	{ .name = "another method is no business of ours",
	    .wanted = { "a" },
	    .adopt = true,
	    .listed = { { .id = "1", .event = "a", .version = 1 } },
	    .done = "+a",
	    .first = SUB_CREATE },
	{ .name = "removed and still listed does not serve",
	    .wanted = { "a" },
	    .listed = { LISTED("1", "a", 9) },
	    .owned = { { .id = "1",
		.event = "a",
		.version = 1,
		.made_at = NOW - 9,
		.listed_at = NOW - 5,
		.removed = true } },
	    .done = "+a -1",
	    .first = SUB_CREATE },
	{ .name = "a clock that was set back keeps nothing away",
	    .wanted = { "a" },
	    .owned = { OWNED("1", "a", -9 * MINUTE, false) },
	    .done = "+a",
	    .first = SUB_CREATE },
};

static void
add_all(const struct sub_plan *plan, char *text, size_t size)
{
	static const char marks[] = { [SUB_DO_ADOPT] = '=',
		[SUB_DO_REMOVE] = '-',
		[SUB_DO_CREATE] = '+',
		[SUB_DO_FORGET] = '?' };
	size_t used = 0;
	size_t i;

	*text = '\0';
	for (i = 0; i < plan->action_count; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%c%s",
		    i ? " " : "", marks[plan->actions[i].kind],
		    plan->actions[i].id ? plan->actions[i].id : plan->actions[i].event);
}

static void
check(const struct plan_case *one)
{
	struct sub_wanted wanted[3];
	struct sub_plan_input input = { .wanted = wanted,
		.listed = one->listed,
		.owned = one->owned,
		.asked = one->asked,
		.asked_at = NOW - one->asked_age,
		.now = NOW,
		.impatient = one->impatient,
		.adopt = one->adopt };
	struct sub_plan plan;
	char done[256];

	for (; input.wanted_count < 3 && one->wanted[input.wanted_count];
	     input.wanted_count++)
		wanted[input.wanted_count] =
		    (struct sub_wanted){ .event = one->wanted[input.wanted_count],
			    .held = one->held };
	while (input.listed_count < 4 && *one->listed[input.listed_count].id)
		input.listed_count++;
	while (input.owned_count < 4 && *one->owned[input.owned_count].id)
		input.owned_count++;
	sub_plan_make(&input, &plan);
	add_all(&plan, done, sizeof(done));
	if (strcmp(done, one->done) != 0 ||
	    (input.wanted_count && plan.served[0].presence != one->first))
		fail_msg("%s: '%s', wanted '%s', presence %d", one->name, done,
		    one->done, (int)plan.served[0].presence);
	sub_plan_clear(&plan);
}

static void
test_each_case_leads_to_its_actions(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i]);
}

static void
test_waits_grow_to_an_hour(void **state)
{
	(void)state;
	assert_int_equal(sub_plan_wait_ms(0), MINUTE);
	assert_int_equal(sub_plan_wait_ms(1), MINUTE);
	assert_int_equal(sub_plan_wait_ms(2), 4 * MINUTE);
	assert_int_equal(sub_plan_wait_ms(3), 16 * MINUTE);
	assert_int_equal(sub_plan_wait_ms(4), 60 * MINUTE);
	assert_int_equal(sub_plan_wait_ms(4000000000U), 60 * MINUTE);
}

static void
test_words_are_whole(void **state)
{
	(void)state;
	assert_true(sub_has_word("a.b c", "c"));
	assert_true(sub_has_word("a.b c", "a.b"));
	assert_false(sub_has_word("a.b c", "a"));
	assert_false(sub_has_word(NULL, "a"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_case_leads_to_its_actions),
		cmocka_unit_test(test_waits_grow_to_an_hour),
		cmocka_unit_test(test_words_are_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Prompts. Bytes that may be a secret pass through one buffer that is wiped.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "broker/cli/cli.h"
#include "broker/cli/next.h"
#include "broker/cli/prompt.h"
#include "broker/cli/talk.h"
#include "common/alloc.h"

/* Longest answer with its line end. */
#define ANSWER_MAX 4098

static volatile sig_atomic_t caught;

static void
on_signal(int number)
{
	caught = number;
}

bool
prompt_possible(void)
{
	return isatty(STDIN_FILENO);
}

/* Reads up to a line end (or the end of input, when `whole`). The length without it, -1
 * when interrupted or at the end, -2 when it does not fit. */
static ssize_t
read_answer(char *bytes, size_t size, bool whole, const sigset_t *mask)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	size_t length = 0;
	ssize_t got;

	while (length < size) {
		/* Signals come here and nowhere else, so none is slept through. */
		if (ppoll(&in, 1, NULL, mask) < 0 && errno == EINTR && !caught)
			continue;
		got = caught ? -1 : read(STDIN_FILENO, bytes + length, size - length);
		if (got < 0 && errno == EINTR && !caught)
			continue;
		if (got < 0 || (got == 0 && length == 0))
			return -1;
		length += (size_t)got;
		if (got == 0 || (!whole && bytes[length - 1] == '\n'))
			break;
	}
	if (length == size)
		return -2;
	if (length > 0 && bytes[length - 1] == '\n')
		length--;
	if (length > 0 && bytes[length - 1] == '\r')
		length--;
	return (ssize_t)length;
}

/* The terminal must get its echo back whatever ends the question, so the signals that
 * would end the program only end the reading. */
static ssize_t
ask(const char *question, bool echo, char *bytes, size_t size)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	const struct sigaction catch = { .sa_handler = on_signal };
	struct sigaction before[sizeof(numbers) / sizeof(numbers[0])];
	struct termios normal;
	struct termios silent;
	sigset_t blocked;
	sigset_t mask;
	bool changed = false;
	ssize_t length;
	size_t i;

	caught = 0;
	(void)fflush(stdout);
	(void)sigemptyset(&blocked);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		(void)sigaddset(&blocked, numbers[i]);
		(void)sigaction(numbers[i], &catch, &before[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &blocked, &mask);
	if (!echo && tcgetattr(STDIN_FILENO, &normal) == 0) {
		silent = normal;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		changed = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
	}
	(void)fputs(question, stderr);
	length = !echo && !changed ? -1 : read_answer(bytes, size, false, &mask);
	if (changed) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &normal);
		(void)fputc('\n', stderr);
	}
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)sigaction(numbers[i], &before[i], NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	return length;
}

static int
judge(ssize_t length, size_t most)
{
	if (caught)
		return CLI_INTERRUPTED;
	if (length > 0 && (size_t)length <= most)
		return CLI_OK;
	if (length == -2 || length > 0)
		talk_error(next_help(), "the answer is longer than %zu bytes", most);
	else
		talk_error(next_help(), "nothing was entered");
	return CLI_USAGE;
}

int
prompt_text(const char *question, size_t most, char **ret_text)
{
	char bytes[ANSWER_MAX];
	ssize_t length = ask(question, true, bytes, sizeof(bytes));
	int status = judge(length, most);

	if (status == CLI_OK)
		*ret_text = xstrndup(bytes, (size_t)length);
	wipe(bytes, sizeof(bytes)); /* Somebody may type the secret here. */
	return status;
}

int
prompt_secret(const char *question, size_t most, struct secret *ret_secret)
{
	char bytes[ANSWER_MAX];
	ssize_t length = ask(question, false, bytes, sizeof(bytes));
	int status = judge(length, most);

	if (status == CLI_OK)
		*ret_secret = secret_copy(bytes, (size_t)length);
	wipe(bytes, sizeof(bytes));
	return status;
}

int
prompt_read_secret(size_t most, struct secret *ret_secret)
{
	char bytes[ANSWER_MAX];
	ssize_t length;
	int status;

	caught = 0;
	length = read_answer(bytes, sizeof(bytes), true, NULL);
	status = judge(length, most);
	if (status == CLI_OK && memchr(bytes, '\n', (size_t)length)) {
		talk_error(next_help(),
		    "standard input holds more than one line; the secret is one line");
		status = CLI_USAGE;
	}
	if (status == CLI_OK)
		*ret_secret = secret_copy(bytes, (size_t)length);
	wipe(bytes, sizeof(bytes));
	return status;
}

bool
prompt_confirm(const char *question)
{
	char bytes[16];
	ssize_t length = ask(question, true, bytes, sizeof(bytes));

	return !caught &&
	    ((length == 1 && (bytes[0] == 'y' || bytes[0] == 'Y')) ||
		(length == 3 && strncasecmp(bytes, "yes", 3) == 0));
}

int
prompt_removal(const char *question, const char *next)
{
	if (!prompt_possible()) {
		talk_error(
		    next, "standard input is no terminal, so nobody can be asked");
		return CLI_USAGE;
	}
	if (prompt_confirm(question))
		return CLI_OK;
	talk("Nothing was removed.");
	return CLI_FAILURE;
}

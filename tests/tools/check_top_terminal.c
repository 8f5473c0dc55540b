/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_top_terminal.c - zcreq-top in a terminal: it is drawn, followed, and given back
 *
 * The terminal is a pseudo one. What the program wrote to it is kept; a test waits until
 * something stands there.
 */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tools/top_scene.h"

#define PATIENCE_MS 20000
#define BACK "\033[?7h\033[?25h\033[?1049l" /* how it is given back */

static int terminal, other_end; /* the test's end of it, and the program's */
static struct termios before;
static pid_t program;
static char seen[1 << 20];
static size_t seen_len;

static void resize(unsigned short columns, unsigned short rows)
{
	const struct winsize size = {.ws_col = columns, .ws_row = rows};

	ck_assert_int_eq(ioctl(terminal, TIOCSWINSZ, &size), 0);
}

static void run_program(void)
{
	setsid();
	if (ioctl(other_end, TIOCSCTTY, 0) || dup2(other_end, 0) || dup2(other_end, 1) != 1)
		_exit(99);
	close(terminal);
	close(other_end);
	execl("tools/top/zcreq-top", "zcreq-top", "--interval", "0.1", top_path, NULL);
	_exit(98);
}

static void setup(void)
{
	const struct top_page page = top_page();

	top_setup();
	top_write(&page, sizeof(page));
	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(terminal, 0);
	ck_assert_int_eq(grantpt(terminal) | unlockpt(terminal), 0);
	other_end = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(other_end, 0);
	resize(100, 30);
	ck_assert_int_eq(tcgetattr(other_end, &before), 0);
	program = fork();
	if (!program)
		run_program();
}

/* Reads what there is within so long; false: nothing came. */
static bool read_more(int ms)
{
	struct pollfd waiting = {.fd = terminal, .events = POLLIN};
	ssize_t got;

	if (poll(&waiting, 1, ms) != 1)
		return false;
	got = read(terminal, seen + seen_len, sizeof(seen) - 1 - seen_len);
	if (got > 0)
		seen_len += (size_t)got;
	seen[seen_len] = '\0';
	return got > 0;
}

/* These words come, after all that was waited for before. */
static void wait_for(const char *words)
{
	static char all[sizeof(seen)];
	const char *found;
	size_t rest;

	while (!(found = strstr(seen, words)))
		ck_assert_msg(read_more(PATIENCE_MS), "no \"%s\" in:\n%s", words, seen);
	found += strlen(words);
	rest = strlen(found);
	memcpy(all, found, rest + 1);
	memcpy(seen, all, rest + 1);
	seen_len = rest;
}

/* It ends well, and the terminal is as it was. */
static void assert_given_back(void)
{
	struct termios after;
	int status;

	wait_for(BACK);
	ck_assert_int_eq(waitpid(program, &status, 0), program);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	while (read_more(0))
		continue;
	ck_assert_str_eq(seen, "");
	ck_assert_int_eq(tcgetattr(other_end, &after), 0);
	ck_assert_uint_eq(after.c_lflag, before.c_lflag);
	ck_assert_uint_eq(after.c_cc[VSUSP], before.c_cc[VSUSP]);
	ck_assert_uint_eq(after.c_cc[VMIN], before.c_cc[VMIN]);
	close(terminal);
	close(other_end);
	top_teardown();
}

static void press(const char *key)
{
	ck_assert_int_eq(write(terminal, key, 1), 1);
}

START_TEST(it_is_given_back_on_every_way_out)
{
	wait_for("\033[?1049h\033[?25l\033[?7l\033[H");
	wait_for("10.77.0.2:51234");
	wait_for("\033[J");
	press("x"); /* is no reason to end, and is not shown */
	wait_for("\033[J");
	if (_i == 0)
		press("q");
	else if (_i == 1)
		press("Q");
	else if (_i == 2)
		press("\003"); /* which the terminal makes an interrupt of */
	else
		ck_assert_int_eq(kill(program, (int[]){SIGTERM, SIGHUP, SIGQUIT}[_i - 3]), 0);
	assert_given_back();
}
END_TEST

/* The last lines go first; and what is drawn fits again at once, not at the next look. */
START_TEST(it_follows_the_size_of_the_terminal)
{
	wait_for("\033[H");
	wait_for("number  connection to");
	resize(20, 3);
	wait_for("\033[H\033[1ma \"server\", process");
	wait_for("\033[K\r\nrequests    130 in f\033[K");
	wait_for("\033[K\033[J\033[H");
	ck_assert_ptr_null(strstr(seen, "number"));
	resize(100, 30);
	wait_for("number  connection to");
	press("q");
	assert_given_back();
}
END_TEST

/* A file that is cut short under it, goes, or comes again is a line on the screen. */
START_TEST(it_follows_the_file)
{
	const struct top_page page = top_page();

	wait_for("number  connection to");
	ck_assert_int_eq(truncate(top_path, sizeof(page) - 1), 0);
	wait_for("page: it is cut short\033[0m\033[K\033[J");
	ck_assert_int_eq(truncate(top_path, 5), 0);
	wait_for("page: it is too short for a page");
	ck_assert_int_eq(unlink(top_path), 0);
	wait_for("page: No such file or directory");
	top_write(&page, sizeof(page));
	wait_for("number  connection to");
	press("q");
	assert_given_back();
}
END_TEST

START_TEST(it_ends_with_the_terminal)
{
	int status;

	wait_for("number  connection to");
	close(other_end);
	close(terminal);
	ck_assert_int_eq(waitpid(program, &status, 0), program);
	ck_assert(WIFEXITED(status));
	top_teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("top in a terminal");
	TCase *tcase = tcase_create("terminal");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, it_is_given_back_on_every_way_out, 0, 6);
	tcase_add_test(tcase, it_follows_the_size_of_the_terminal);
	tcase_add_test(tcase, it_follows_the_file);
	tcase_add_test(tcase, it_ends_with_the_terminal);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_printed.c - the loops that a reader copies, as they are printed
 *
 * printed.sh makes C files of the text itself. The loop in zcreq/context.h serves every
 * scenario; hello.c, of which the README shows a part, is run whole, and once with a peer
 * that vanishes. Each also with every wake-up late and none that was not asked for (late.h).
 */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "loops/deaf.h"
#include "loops/late.h"
#include "loops/loop.h"
#include "loops/printed.h"
#include "loops/scenes.h"
#include "real/real.h"

/* ---- include/zcreq/context.h ---- */

enum { CONTEXT, PEER, LIMIT, FDS };

static struct pollfd fds[FDS];
static struct loop *served;
static jmp_buf out; /* of a loop that has no end of its own */

static void leave_if_done(void)
{
	if (served->done())
		longjmp(out, 1);
}

bool printed_rest(void)
{
	served->expired = fds[LIMIT].revents != 0;
	if (fds[PEER].revents)
		served->readable();
	fds[PEER].fd = served->reads ? served->read_fd : -1;
	return served->expired;
}

static void start(struct loop *loop)
{
	served = loop;
	fds[CONTEXT] = (struct pollfd){.fd = zcreq_context_fd(loop->context), .events = POLLIN};
	fds[PEER] = (struct pollfd){.fd = -1, .events = POLLIN};
	fds[LIMIT] = (struct pollfd){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), .events = POLLIN,
	};
}

static void reading(struct loop *loop)
{
	fds[PEER].fd = loop->reads ? loop->read_fd : -1;
}

static void run(struct loop *loop, int ms)
{
	const struct itimerspec limit = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L},
	};

	loop->expired = false;
	ck_ok(timerfd_settime(fds[LIMIT].fd, 0, &limit, NULL));
	late.before = leave_if_done;
	if (!setjmp(out))
		printed_turns(loop->context, fds, FDS);
	late.before = NULL;
}

static void stop(struct loop *loop)
{
	(void)loop;
	close(fds[LIMIT].fd);
}

static const struct loop_driver as_printed = {
	.name = "as zcreq/context.h prints it",
	.start = start,
	.reading = reading,
	.run = run,
	.stop = stop,
};

/* ---- examples/hello.c ---- */

static bool peer_vanishes;

/* The program's own: its peer may take nothing from the beginning. */
int accept4(int listener, struct sockaddr *address, socklen_t *len, int flags)
{
	static int (*next)(int, struct sockaddr *, socklen_t *, int);
	int fd;

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "accept4");
	fd = next(listener, address, len, flags);
	if (peer_vanishes)
		deaf_make(fd);
	return fd;
}

/* Runs it; what it has said. */
static const char *say_hello(void)
{
	static char said[4096];
	FILE *file = tmpfile();
	int to = dup(STDOUT_FILENO);

	ck_assert_ptr_nonnull(file);
	fflush(stdout);
	ck_assert_int_eq(dup2(fileno(file), STDOUT_FILENO), STDOUT_FILENO);
	ck_ok(printed_hello());
	fflush(stdout);
	ck_assert_int_eq(dup2(to, STDOUT_FILENO), STDOUT_FILENO);
	rewind(file);
	said[fread(said, 1, sizeof(said) - 1, file)] = 0;
	fclose(file);
	return said;
}

/* @_i: as it comes, and late. */
START_TEST(hello_gets_its_buffer_back)
{
	late.by_ms = _i ? SCENE_LATE_MS : 0;
	ck_assert_ptr_nonnull(strstr(say_hello(), "released, status 0:"));
}
END_TEST

START_TEST(hello_finds_a_vanished_host)
{
	char line[64];

	late.by_ms = _i ? SCENE_LATE_MS : 0;
	peer_vanishes = true;
	snprintf(line, sizeof(line), "released, status %d:", -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(say_hello(), line));
}
END_TEST

int main(void)
{
	static const struct loop_driver *const drivers[] = {&as_printed, NULL};
	Suite *suite = loop_suite("printed", drivers);
	TCase *group = tcase_create("hello");

	tcase_set_timeout(group, 20);
	tcase_add_loop_test(group, hello_gets_its_buffer_back, 0, 2);
	tcase_add_loop_test(group, hello_finds_a_vanished_host, 0, 2);
	suite_add_tcase(suite, group);
	return real_run(suite, NULL);
}

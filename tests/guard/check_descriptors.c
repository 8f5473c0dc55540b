/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_descriptors.c - a descriptor that is not the library's any more
 *
 * With sockets of the kernel's, over loopback.
 */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guard/guard_scene.h"
#include "support/emulated.h"

#define LEN (PAGES * PAGE)

static struct heard heard;
static int fd;

/* The stream of the scene is one on the kernel's socket; its send is with the kernel. */
static void open_socket_scene(void)
{
	struct zcreq_stream_options options = {.size = sizeof(options), .mode = ZCREQ_MODE_NEVER};

	open_scene(0);
	zcreq_conn_free(scene.conn);
	zcreq_turn(scene.context, 0);
	options.fd = fd = connected_socket();
	ck_assert_int_eq(zcreq_stream_open(scene.context, &options, &scene.conn), 0);
}

/* What becomes of it: closed, another kind of file, another socket. */
enum deed { CLOSED, REPLACED, REPLACED_BY_A_SOCKET, DEEDS };

static void do_deed(enum deed deed)
{
	int other = deed == REPLACED ? open("/dev/null", O_RDWR) : connected_socket();

	if (deed == CLOSED)
		ck_assert_int_eq(close(fd), 0);
	else
		ck_assert_int_eq(dup2(other, fd), fd);
	close(other);
}

/* With the next call that goes to the socket, once; and what is queued is counted. */
START_TEST(a_descriptor_lost_is_reported_once)
{
	char words[200];
	zcreq_id id;

	open_socket_scene();
	do_deed(_i);
	id = heard_begin(scene.conn, &heard);
	ck_assert_int_eq(zcreq_add(scene.context, id, &(struct iovec){
				scene.buffer,
				LEN,
			}, 1, 0), 0);
	ck_assert_uint_eq(scene.found.count, 0);
	errno = EDOM;
	zcreq_turn(scene.context, 0);
	ck_assert_int_eq(errno, EDOM);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_DESCRIPTOR);
	ck_assert_ptr_eq(scene.found.last.conn, scene.conn);
	ck_assert_int_eq(scene.found.last.fd, fd);
	ck_assert(scene.found.last.id.bits == 0);
	snprintf(words, sizeof(words),
		 "zcreq guard: the descriptor was closed behind the library's back: descriptor %d "
		 "is %s, with %d bytes queued or in flight", fd,
		 _i == CLOSED ? "not open" : "another file now", LEN);
	ck_assert_str_eq(scene.found.text, words);
	ck_assert_int_eq(zcreq_guard_reports(scene.context), 1);
	zcreq_turn(scene.context, 0);
	(void)!zcreq_process(scene.conn, POLLOUT);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(zcreq_finish(scene.context, id, 0), 0);
	zcreq_conn_free(scene.conn);
	zcreq_turn(scene.context, 0);
	ck_assert_uint_eq(heard.released, 1);
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(zcreq_context_free(scene.context), 0);
	ck_assert_int_eq(scene.memory.live, 0);
}
END_TEST

/* Nothing was called in between: the end looks as well, before it closes a stranger's. */
START_TEST(a_descriptor_lost_is_reported_at_the_end)
{
	open_socket_scene();
	do_deed(_i);
	ck_assert_uint_eq(scene.found.count, 0);
	close_scene();
	ck_assert_uint_eq(scene.found.count, 1);
	ck_assert_int_eq(scene.found.last.crime, ZCREQ_GUARD_DESCRIPTOR);
}
END_TEST

START_TEST(a_descriptor_of_ones_own_is_no_crime)
{
	open_socket_scene();
	send_and_finish(&heard, scene.buffer, LEN);
	zcreq_turn(scene.context, 0);
	ck_assert_uint_eq(heard.released, 1);
	/* the same file under another number, and back */
	ck_assert_int_eq(dup2(dup(fd), fd), fd);
	ck_assert_int_eq(zcreq_process(scene.conn, POLLOUT), 0);
	close_scene();
	ck_assert_uint_eq(scene.found.count, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

static void exit_well(int number)
{
	exit(number == SIGABRT ? 7 : 1);
}

START_TEST(without_continue_a_descriptor_lost_aborts)
{
	struct zcreq_stream_options options = {.size = sizeof(options)};
	struct zcreq_conn *conn;

	open_scene_that_aborts(0);
	options.fd = fd = connected_socket();
	ck_assert_int_eq(zcreq_stream_open(scene.context, &options, &conn), 0);
	do_deed(CLOSED);
	signal(SIGABRT, exit_well);
	zcreq_conn_free(conn);
	zcreq_turn(scene.context, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guard_descriptors");
	TCase *lost = tcase_create("lost");

	if (emulated_memory())
		return 77;
	tcase_add_loop_test(lost, a_descriptor_lost_is_reported_once, 0, DEEDS);
	tcase_add_loop_test(lost, a_descriptor_lost_is_reported_at_the_end, 0, DEEDS);
	tcase_add_test(lost, a_descriptor_of_ones_own_is_no_crime);
	tcase_add_exit_test(lost, without_continue_a_descriptor_lost_aborts, 7);
	suite_add_tcase(s, lost);
	return suite_run(s);
}

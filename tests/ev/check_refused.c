/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_refused.c - the loop goes on, and does not spin, where epoll refuses
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ev/ev_scene.h"
#include "support/suite.h"

/* ---- a transport of another kind ---------------------------------------------- */

static int says_established(int fd, int level, int name, void *value, socklen_t *len, void *arg)
{
	const struct tcp_info info = { .tcpi_state = TCP_ESTABLISHED };

	(void)fd;
	(void)arg;
	if (level == IPPROTO_TCP)
		memcpy(value, &info, *len < sizeof(info) ? *len : sizeof(info));
	else
		*(int *)value = name == SO_TYPE ? SOCK_STREAM : IPPROTO_TCP;
	return 0;
}

static int takes_options(int fd, int level, int name, const void *value, socklen_t len, void *arg)
{
	(void)fd;
	(void)level;
	(void)name;
	(void)value;
	(void)len;
	(void)arg;
	return 0;
}

static ssize_t has_no_messages(int fd, struct msghdr *message, int flags, void *arg)
{
	(void)fd;
	(void)message;
	(void)flags;
	(void)arg;
	return -EAGAIN;
}

static ssize_t takes_nothing(int fd, const struct msghdr *message, int flags, void *arg)
{
	(void)fd;
	(void)message;
	(void)flags;
	(void)arg;
	return -EAGAIN;
}

static ssize_t breaks_the_loop(int fd, const struct msghdr *message, int flags, void *arg)
{
	ev_break(loop, EVBREAK_ALL);
	return takes_nothing(fd, message, flags, arg);
}

static int closes(int fd, void *arg)
{
	(void)arg;
	return close(fd);
}

static int lets_go(int fd, void *arg)
{
	(void)fd;
	(void)arg;
	return 0;
}

static const struct zcreq_socket_ops file_ops = {
	.recvmsg = has_no_messages,
	.getsockopt = says_established,
	.setsockopt = takes_options,
	.disconnect = lets_go,
	.close = closes,
};

/* epoll waits for no regular file; another transport may have one. */
START_TEST(descriptor_that_epoll_refuses_is_an_error)
{
	struct zcreq_stream_options options = { .size = sizeof(options), .socket_ops = &file_ops };
	struct zcreq_ev_conn *tie = NULL;
	struct zcreq_conn *conn;

	options.fd = open("/proc/self/exe", O_RDONLY);
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	ck_assert_int_eq(zcreq_ev_conn_new(ev, conn, &tie), -EPERM);
	ck_assert_ptr_null(tie);
	zcreq_conn_free(conn);
	zcreq_dispatch(context);
}
END_TEST

/* ---- an epoll that refuses ------------------------------------------------------ */

/* A descriptor that is a regular file for a while, which epoll does not wait for, and
 * then what it was, while the loop sleeps. */
struct swap {
	int fd, saved;
	pthread_t thread;
	zcreq_hold hold; /* then dropped, if it is one */
};

static void break_loop(struct end *end)
{
	(void)end;
	ev_break(loop, EVBREAK_ALL);
}

static void *swap_back(void *arg)
{
	struct swap *swap = arg;

	usleep(300000);
	ck_assert_int_eq(dup2(swap->saved, swap->fd), swap->fd);
	usleep(50000);
	if (swap->hold.bits)
		ck_assert_int_eq(zcreq_post_drop(context, swap->hold, 0), 0);
	return NULL;
}

static void swap_out(struct swap *swap, int fd)
{
	int file = open("/proc/self/exe", O_RDONLY);

	swap->fd = fd;
	swap->saved = dup(fd);
	ck_assert_int_eq(dup2(file, fd), fd);
	close(file);
	ck_assert_int_eq(pthread_create(&swap->thread, NULL, swap_back, swap), 0);
	turns = 0;
}

/* There are ten milliseconds between two tries. */
static void swapped(struct swap *swap)
{
	ck_assert_uint_ge(turns, 4);
	ck_assert_uint_le(turns, 100);
	ck_assert_int_eq(pthread_join(swap->thread, NULL), 0);
	close(swap->saved);
}

START_TEST(a_change_that_epoll_refuses_is_tried_again_without_spinning)
{
	struct zcreq_socket_ops file_socket = file_ops;
	struct zcreq_stream_options options = {.size = sizeof(options),
					       .socket_ops = &file_socket};
	struct zcreq_ev_conn *tie;
	struct zcreq_conn *conn;
	struct swap swap = {0};

	options.fd = eventfd(0, EFD_NONBLOCK);
	file_socket.sendmsg = takes_nothing;
	ck_assert_int_eq(zcreq_stream_open(context, &options, &conn), 0);
	ck_assert_int_eq(zcreq_ev_conn_new(ev, conn, &tie), 0);
	ck_assert(!run_for(20));
	swap_out(&swap, options.fd);
	ck_assert_int_eq(zcreq_write(conn, "x", 1), 0); /* POLLOUT is wanted now */
	ck_assert(!run_for(50));
	file_socket.sendmsg = breaks_the_loop; /* which epoll has to ask for */
	ck_assert(run_for(5000));
	swapped(&swap);
	zcreq_ev_conn_free(tie);
	zcreq_conn_abort(conn, -ECANCELED);
	zcreq_conn_free(conn);
	zcreq_dispatch(context);
}
END_TEST

START_TEST(the_drops_of_others_that_epoll_refuses_are_tried_again_without_spinning)
{
	struct swap swap = {0};
	zcreq_id id;

	open_end(&ends[0]); /* keeps the loop */
	ends[0].on_released = break_loop;
	ck_assert_int_eq(zcreq_threads_open(context, 0), 0);
	ck_assert_int_eq(zcreq_begin(ends[0].conn, &ops, &ends[0], 0, &id), 0);
	ck_assert_int_eq(zcreq_take(context, id, &swap.hold), 0);
	ck_assert_int_eq(zcreq_finish(context, id, 0), 0);
	open_end(&ends[1]); /* whose deadline comes before the next try */
	send_from(&ends[1], BIG);
	ck_assert_int_eq(zcreq_conn_drain(ends[1].conn, zcreq_now_ns() + 5000000), 0);
	swap_out(&swap, zcreq_threads_fd(context));
	ck_assert(run_for(5000));
	ck_assert_uint_eq(ends[0].released, 1);
	ck_assert_int_eq(ends[1].status, -ETIMEDOUT);
	close(ends[1].peer);
	swapped(&swap);
	zcreq_conn_abort(ends[0].conn, -ECANCELED);
	ck_assert(run_for(1000));
	close(ends[0].peer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ev_refused");
	TCase *cases = tcase_create("all");

	tcase_set_timeout(cases, 20);
	tcase_add_checked_fixture(cases, scene_setup, scene_teardown);
	tcase_add_test(cases, descriptor_that_epoll_refuses_is_an_error);
	tcase_add_test(cases, a_change_that_epoll_refuses_is_tried_again_without_spinning);
	tcase_add_test(cases,
		       the_drops_of_others_that_epoll_refuses_are_tried_again_without_spinning);
	suite_add_tcase(suite, cases);
	return suite_run(suite);
}

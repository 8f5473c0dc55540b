/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_libuv.c - libuv: a uv_poll_t on the context's descriptor, and a uv_timer_t
 *
 * A uv_poll_t on a stream's own descriptor does not do: with the first notification
 * poll(2) would say POLLERR, libuv says UV_EBADF and stops the watcher, and the error
 * queue is never read. The last test shows that it is so.
 */
#include "loops/loop.h"

#ifdef HAVE_LIBUV
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "real/net.h"
#include "real/raw.h"
#include "real/real.h"

static uv_loop_t uv;
static uv_poll_t ready, other;
static uv_timer_t timer, limit;
static uv_prepare_t before_sleep;

static void nothing_poll(uv_poll_t *handle, int status, int events)
{
	(void)handle;
	(void)events;
	ck_assert_int_eq(status, 0);
}

static void nothing_timer(uv_timer_t *handle)
{
	(void)handle;
}

static void on_other(uv_poll_t *handle, int status, int events)
{
	struct loop *loop = handle->data;

	(void)status; /* the peer's reset is UV_EBADF here: recv(2) tells more */
	(void)events;
	loop->readable();
}

static void on_limit(uv_timer_t *handle)
{
	struct loop *loop = handle->data;

	loop->expired = true;
	uv_stop(&uv);
}

static void turn(uv_prepare_t *handle)
{
	struct loop *loop = handle->data;
	uint64_t now_ns = zcreq_now_ns(), deadline_ns;

	if (loop->expired)
		return;
	deadline_ns = zcreq_turn(loop->context, now_ns);
	uv_timer_stop(&timer);
	if (loop->done()) {
		uv_stop(&uv);
	} else if (deadline_ns != ZCREQ_NEVER) {
		uv_update_time(&uv);
		uv_timer_start(&timer, nothing_timer,
			       (uint64_t)zcreq_timeout_ms(deadline_ns, now_ns), 0);
	}
}

static void start(struct loop *loop)
{
	ck_ok(uv_loop_init(&uv));
	ck_ok(uv_poll_init(&uv, &ready, zcreq_context_fd(loop->context)));
	ck_ok(uv_poll_start(&ready, UV_READABLE, nothing_poll));
	ck_ok(uv_timer_init(&uv, &timer));
	ck_ok(uv_timer_init(&uv, &limit));
	ck_ok(uv_prepare_init(&uv, &before_sleep));
	ck_ok(uv_prepare_start(&before_sleep, turn));
	ck_ok(uv_poll_init(&uv, &other, loop->read_fd));
	before_sleep.data = limit.data = other.data = loop;
}

static void reading(struct loop *loop)
{
	if (loop->reads)
		ck_ok(uv_poll_start(&other, UV_READABLE, on_other));
	else
		ck_ok(uv_poll_stop(&other));
}

static void run(struct loop *loop, int ms)
{
	loop->expired = false;
	uv_update_time(&uv);
	ck_ok(uv_timer_start(&limit, on_limit, (uint64_t)ms, 0));
	uv_run(&uv, UV_RUN_DEFAULT);
	ck_ok(uv_timer_stop(&limit));
}

static void stop(struct loop *loop)
{
	(void)loop;
	uv_close((uv_handle_t *)&ready, NULL);
	uv_close((uv_handle_t *)&other, NULL);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_close((uv_handle_t *)&limit, NULL);
	uv_close((uv_handle_t *)&before_sleep, NULL);
	uv_run(&uv, UV_RUN_DEFAULT);
	ck_ok(uv_loop_close(&uv));
}

static const struct loop_driver by_libuv = {
	.name = "libuv",
	.start = start,
	.reading = reading,
	.run = run,
	.stop = stop,
};

/* ---- what does not do ---- */

static struct net net;
static int heard;

static void make_net(void)
{
	ck_ok(net_open(&net));
}

static void free_net(void)
{
	net_close(&net);
}

static void on_stream(uv_poll_t *handle, int status, int events)
{
	(void)events;
	if (status)
		heard = status;
	else if (uv_poll_start(handle, UV_READABLE, on_stream)) /* there was room: once is enough */
		ck_abort();
}

/* What uv_poll_t says of a notification, and that it says no more. */
START_TEST(a_watcher_of_the_streams_own_descriptor_ends_with_its_first_notification)
{
	const struct net_pair how = {0};
	char bytes[1000] = {0};
	uv_timer_t over;
	int near, far;

	ck_ok(net_connect(&net, &how, &near, &far));
	raw_enable(near);
	ck_ok(uv_loop_init(&uv));
	ck_ok(uv_poll_init(&uv, &ready, near));
	ck_ok(uv_poll_start(&ready, UV_READABLE | UV_WRITABLE, on_stream));
	ck_ok(uv_timer_init(&uv, &over));
	ck_ok(uv_timer_start(&over, nothing_timer, 5000, 0));
	ck_assert_int_eq(raw_send(near, bytes, sizeof(bytes)), sizeof(bytes));
	ck_assert_int_eq(raw_read(far, bytes, sizeof(bytes), 1000), sizeof(bytes));
	while (!heard && uv_is_active((uv_handle_t *)&over))
		uv_run(&uv, UV_RUN_ONCE);
	ck_assert_int_eq(heard, UV_EBADF);
	ck_assert(!uv_is_active((uv_handle_t *)&ready));
	uv_close((uv_handle_t *)&ready, NULL);
	uv_close((uv_handle_t *)&over, NULL);
	uv_run(&uv, UV_RUN_DEFAULT);
	ck_ok(uv_loop_close(&uv));
	close(near);
	close(far);
}
END_TEST

int main(void)
{
	static const struct loop_driver *const drivers[] = {&by_libuv, NULL};
	Suite *suite = loop_suite("libuv", drivers);
	TCase *group = real_group(suite, "why not", make_net, free_net, NULL);

	tcase_add_test(group,
		       a_watcher_of_the_streams_own_descriptor_ends_with_its_first_notification);
	return real_run(suite, NULL);
}
#else
int main(void)
{
	return loop_missing("libuv", "libuv1-dev");
}
#endif

/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream/poller_scene.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/suite.h"

#define FOR_EVER_MS 10000
#define MANY_TURNS 5000

struct counting memory;
struct zcreq_context *context;
struct end ends[3];
uint32_t stall_ms;
unsigned turns;
char big[8 << 20];

static enum wait way;
static int outer = -1; /* an epoll around the context's descriptor */

void poller_setup(void)
{
	context = counting_context(&memory, 0);
	for (unsigned i = 0; i < COUNT(ends); i++)
		ends[i].peer = -1;
}

void poller_teardown(void)
{
	for (unsigned i = 0; i < COUNT(ends); i++)
		close_end(&ends[i]);
	while (stats_of(context).connections_now)
		zcreq_turn(context, zcreq_now_ns());
	counting_end(&memory, context);
	if (outer >= 0)
		close(outer);
}

/* ---- ends --------------------------------------------------------------------------- */

static void on_closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct end *end = arg;

	(void)conn;
	end->closed++;
	end->status = status;
}

static void read_up_to(struct zcreq_conn *conn, struct end *end, size_t most)
{
	static char into[4096];
	ssize_t got = recv(zcreq_stream_fd(conn), into, most, MSG_DONTWAIT);

	end->readable++;
	end->read_bytes += got > 0 ? (unsigned)got : 0;
	if (got == 0)
		ck_assert_int_eq(zcreq_stream_reading(conn, false), 0);
}

static void read_all(struct zcreq_conn *conn, void *arg)
{
	read_up_to(conn, arg, 4096);
}

static void read_one(struct zcreq_conn *conn, void *arg)
{
	read_up_to(conn, arg, 1);
}

static void read_nothing(struct zcreq_conn *conn, void *arg)
{
	(void)conn;
	((struct end *)arg)->readable++;
}

static void switch_off(struct zcreq_conn *conn, void *arg)
{
	read_nothing(conn, arg);
	ck_assert_int_eq(zcreq_stream_reading(conn, false), 0);
}

const struct zcreq_conn_hooks reads_all = {.closed = on_closed, .readable = read_all};
const struct zcreq_conn_hooks reads_one = {.closed = on_closed, .readable = read_one};
const struct zcreq_conn_hooks reads_nothing = {.closed = on_closed, .readable = read_nothing};
const struct zcreq_conn_hooks switches_off = {.closed = on_closed, .readable = switch_off};
static const struct zcreq_conn_hooks does_not_read = {.closed = on_closed};

static void on_released(zcreq_id id, int status, void *arg)
{
	struct end *end = arg;

	(void)id;
	(void)status;
	end->released++;
	if (!end->again)
		return;
	end->again--;
	send_from(end, 1000);
}

const struct zcreq_request_hooks released_only = {.released = on_released};

void open_end(struct end *end, const struct zcreq_conn_hooks *hooks)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct zcreq_stream_options options = {
		.size = sizeof(options), .hooks = hooks ? hooks : &does_not_read, .arg = end,
		.mode = ZCREQ_MODE_ALWAYS, .stall_ms = stall_ms,
	};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	*end = (struct end){.peer = -1};
	options.fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (void *)&addr, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (void *)&addr, &len), 0);
	ck_assert_int_eq(connect(options.fd, (void *)&addr, len), 0);
	end->peer = accept(listener, NULL, NULL);
	ck_assert_int_ge(end->peer, 0);
	close(listener);
	ck_assert_int_eq(zcreq_stream_open(context, &options, &end->conn), 0);
}

void close_end(struct end *end)
{
	zcreq_conn_free(end->conn);
	end->conn = NULL;
	if (end->peer >= 0)
		close(end->peer);
	end->peer = -1;
}

void reset_peer(struct end *end)
{
	const struct linger now = {.l_onoff = 1};

	ck_assert_int_eq(setsockopt(end->peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(end->peer);
	end->peer = -1;
}

void send_from(struct end *end, size_t len)
{
	const struct iovec iov = {.iov_base = big, .iov_len = len};

	ck_assert_int_eq(zcreq_send(end->conn, &released_only, end, &iov, 1, 0, NULL), 0);
}

/* ---- sources and calls --------------------------------------------------------------- */

static int tick_turn(void *arg)
{
	struct tick *tick = arg;
	eventfd_t count;
	int saved = errno;
	bool any = tick->fd >= 0 && !eventfd_read(tick->fd, &count);

	errno = saved;
	tick->ticks += any;
	return any;
}

static int tick_fd(void *arg)
{
	return ((struct tick *)arg)->fd;
}

struct zcreq_source *tick_source(struct tick *tick)
{
	tick->source = (struct zcreq_source){.turn = tick_turn, .fd = tick_fd, .arg = tick};
	return &tick->source;
}

void called(struct zcreq_call *call)
{
	((struct call *)call)->calls++;
}

/* ---- the loop ------------------------------------------------------------------------- */

void wait_by(enum wait wait)
{
	struct epoll_event entry = {.events = EPOLLIN | (wait == WAIT_EDGES ? EPOLLET : 0)};
	int fd = zcreq_context_fd(context);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(zcreq_context_fd(context), fd);
	way = wait;
	if (way == WAIT_POLL)
		return;
	outer = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_eq(epoll_ctl(outer, EPOLL_CTL_ADD, fd, &entry), 0);
}

bool due(void)
{
	struct pollfd fd = {.fd = zcreq_context_fd(context), .events = POLLIN};

	return poll(&fd, 1, 0) > 0;
}

/* Was it woken, by the descriptor or by a reader's peer, within that time? */
static bool wait_for(int ms)
{
	struct pollfd fds[1 + COUNT(ends)];
	static char into[1 << 16];
	int woken;

	/* the descriptor of an epoll is readable when epoll_wait(2) has something to tell */
	fds[0] = (struct pollfd){.fd = way == WAIT_POLL ? zcreq_context_fd(context) : outer,
				 .events = POLLIN};
	for (unsigned i = 0; i < COUNT(ends); i++)
		fds[1 + i] = (struct pollfd){.fd = ends[i].reader ? ends[i].peer : -1,
					     .events = POLLIN};
	woken = poll(fds, COUNT(fds), ms);
	for (unsigned i = 0; i < COUNT(ends); i++)
		if (fds[1 + i].revents)
			(void)!recv(ends[i].peer, into, sizeof(into), MSG_DONTWAIT);
	if (fds[0].revents && way != WAIT_POLL) {
		struct epoll_event event;

		(void)!epoll_wait(outer, &event, 1, 0);
	}
	return woken > 0;
}

void loop_until(const unsigned *counter, unsigned value)
{
	for (turns = 0; *counter < value; turns++) {
		uint64_t now_ns = zcreq_now_ns(), deadline_ns = zcreq_turn(context, now_ns);
		int ms = zcreq_timeout_ms(deadline_ns, now_ns);

		if (*counter >= value)
			return;
		if (!wait_for(ms < 0 ? FOR_EVER_MS : ms) && ms < 0)
			ck_abort_msg("it sleeps for ever, after %u turns", turns);
		ck_assert_uint_lt(turns, MANY_TURNS);
	}
}

/* A turn more or less may follow what is on its way; then there is none. */
void loop_until_quiet(void)
{
	unsigned quiet = 0, tries = 0;

	while (quiet < 10) {
		uint64_t now_ns = zcreq_now_ns();
		int ms = zcreq_timeout_ms(zcreq_turn(context, now_ns), now_ns);

		quiet = ms == 0 || wait_for(0) ? 0 : quiet + 1;
		if (++tries > 200)
			ck_abort_msg("it does not sleep");
	}
}

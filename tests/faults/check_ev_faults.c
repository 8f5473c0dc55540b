/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_ev_faults.c - the libev adapter on the real kernel, and every call fails
 *
 * One play: a context in a loop, other threads that may post to it, a source, and two
 * connections, one that is read and drained and one that is not and is aborted. It is told once for each point, as in check_faults;
 * a fault that lasts is lifted after LIFT_MS. At the end all is released, once, the
 * peer has the bytes that were sent, and no block and no descriptor is left.
 *
 * What libev allocates for itself is another matter: it has no way to report that
 * it could not, and ends the program (ev_set_allocator in ev(3)). That, and nothing
 * worse, is what each of its allocations is shown to lead to.
 */
#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zcreq/ev.h>
#include <zcreq/zcreq.h>

#include "support/emulated.h"
#include "support/suite.h"
#include "faults/wrap.h"

#define BIG ((size_t)2 << 20)
#define LIFT_MS 4
#define TOO_LONG_MS 3000
#define WHERE_BYTES 80
#define UNTOUCHED 4711 /* an errno that nobody sets */

struct end {
	struct zcreq_conn *conn;
	int fd, peer;
	size_t received;
	unsigned released, settled, aborted, closed;
	unsigned settled_before; /* the abort */
	int status, abort_status;
};

struct play {
	struct fault fault;
	struct ev_loop *loop;
	struct zcreq_context *context;
	struct zcreq_ev *ev;
	struct zcreq_source source;
	struct end ends[2];
	ev_io reader;
	ev_timer lift, limit;
	ev_prepare counter;
	unsigned turns; /* while the fault lasted */
	bool too_long;
};

static struct play play;
static char memory[BIG];

static char pattern(size_t at)
{
	return (char)(at * 7 + at / 4096);
}

/* ---- what the loop calls ------------------------------------------------------- */

static void on_released(zcreq_id id, int status, void *arg)
{
	struct end *end = arg;

	(void)id;
	end->released++;
	CLAIM(end->settled == 1 && end->status == status);
}

static void on_settled(zcreq_id id, int status, void *arg)
{
	struct end *end = arg;

	(void)id;
	CLAIM(!end->released);
	end->settled++;
	end->status = status;
}

static const struct zcreq_request_hooks ops = { .released = on_released, .settled = on_settled };

static void on_abort(struct zcreq_conn *conn, int status, void *arg)
{
	struct end *end = arg;

	(void)conn;
	end->aborted++;
	end->abort_status = status;
	end->settled_before = end->settled;
}

/* All is closed, and the first one's peer has read all of it. */
static bool is_over(void)
{
	return !play.ends[0].conn && !play.ends[1].conn && !ev_is_active(&play.reader);
}

static void end_if_over(void)
{
	if (is_over())
		ev_break(play.loop, EVBREAK_ALL);
}

static void on_closed(struct zcreq_conn *conn, int status, void *arg)
{
	struct end *end = arg;

	(void)status;
	end->closed++;
	zcreq_conn_free(conn);
	end->conn = NULL;
	end_if_over();
}

static const struct zcreq_conn_hooks hooks = { .abort = on_abort, .closed = on_closed };

/* The first one's peer reads, and knows what it has to be. */
static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
	static char sink[1 << 18];
	struct end *end = watcher->data;
	ssize_t len = recv(end->peer, sink, sizeof(sink), MSG_DONTWAIT), i;

	(void)revents;
	if (len == 0 || (len < 0 && errno != EAGAIN))
		ev_io_stop(loop, watcher);
	for (i = 0; i < len; i++)
		CLAIM(sink[i] == pattern(end->received + (size_t)i));
	end->received += len > 0 ? (size_t)len : 0;
	end_if_over();
}

/* Both timers are not counted as work of the loop; one that has fired was taken off. */
static void on_lift(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	(void)watcher;
	(void)revents;
	ev_ref(loop);
	fault_lift(&play.fault);
}

static void on_limit(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	(void)watcher;
	(void)revents;
	ev_ref(loop);
	play.too_long = true;
	ev_break(loop, EVBREAK_ALL);
}

static void on_turn(struct ev_loop *loop, ev_prepare *watcher, int revents)
{
	(void)loop;
	(void)watcher;
	(void)revents;
	play.turns += play.fault.failed && play.fault.times;
}

/* ---- the play -------------------------------------------------------------------- */

static void pair(struct end *end)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	const int room = 1 << 17; /* so that it has to wait for its peer */

	end->fd = socket(AF_INET, SOCK_STREAM, 0);
	CLAIM(!bind(listener, (struct sockaddr *)&address, len) && !listen(listener, 1));
	CLAIM(!getsockname(listener, (struct sockaddr *)&address, &len));
	CLAIM(!connect(end->fd, (struct sockaddr *)&address, len));
	CLAIM(!setsockopt(end->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
	end->peer = accept(listener, NULL, NULL);
	CLAIM(end->peer >= 0);
	close(listener);
}

/* A call that makes something: fails with the fault's own error, and then works. */
static bool again(int ret, unsigned failed_before)
{
	CLAIM(errno == UNTOUCHED);
	if (ret == 0)
		return false;
	CLAIM(play.fault.failed > failed_before && ret == -play.fault.what->error);
	if (play.fault.times > 1)
		fault_lift(&play.fault);
	return true;
}

#define MADE(call) \
	do { \
		unsigned failed_; \
		do { \
			failed_ = play.fault.failed; \
			errno = UNTOUCHED; \
		} while (again(call, failed_)); \
	} while (0)

static int turn_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int source_fd(void *arg)
{
	return *(const int *)arg;
}

static void open_end(struct end *end)
{
	struct zcreq_stream_options options = { .size = sizeof(options), .hooks = &hooks,
						.arg = end, .fd = end->fd };

	play.fault.opens = true;
	MADE(zcreq_stream_open(play.context, &options, &end->conn));
	play.fault.opens = false;
}

static void send_all(struct end *end)
{
	struct iovec iov = { memory, BIG };
	zcreq_id id;

	MADE(zcreq_begin(end->conn, &ops, end, 0, &id));
	MADE(zcreq_add(play.context, id, &iov, 1, 0));
	MADE(zcreq_finish(play.context, id, 0));
}

static void start_timer(ev_timer *timer, int ms)
{
	ev_timer_set(timer, ms / 1e3, 0.);
	ev_timer_start(play.loop, timer);
	ev_unref(play.loop);
}

static void stop_timer(ev_timer *timer)
{
	if (!ev_is_active(timer))
		return;
	ev_ref(play.loop);
	ev_timer_stop(play.loop, timer);
}

static void start_loop(void)
{
	play.loop = ev_loop_new(EVFLAG_AUTO);
	CLAIM(play.loop);
	ev_io_init(&play.reader, on_readable, play.ends[0].peer, EV_READ);
	play.reader.data = &play.ends[0];
	ev_io_start(play.loop, &play.reader);
	ev_init(&play.lift, on_lift);
	start_timer(&play.lift, LIFT_MS);
	ev_init(&play.limit, on_limit);
	ev_prepare_init(&play.counter, on_turn);
	ev_prepare_start(play.loop, &play.counter);
	ev_unref(play.loop);
}

/* Until it is over, or for some milliseconds. */
static void run_for(int ms)
{
	start_timer(&play.limit, ms);
	play.too_long = false;
	if (!is_over())
		ev_run(play.loop, 0);
	stop_timer(&play.limit);
}

static void stop_loop(void)
{
	ev_ref(play.loop);
	ev_prepare_stop(play.loop, &play.counter);
	stop_timer(&play.lift);
	ev_io_stop(play.loop, &play.reader);
	ev_loop_destroy(play.loop);
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	CLAIM(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static void tell(unsigned at, const struct fault_error *what, unsigned times)
{
	int readable = eventfd(1, EFD_CLOEXEC);
	unsigned i;

	memset(&play, 0, sizeof(play));
	play.fault.at = at;
	play.fault.what = what;
	play.fault.times = times;
	pair(&play.ends[0]);
	pair(&play.ends[1]);
	start_loop();
	wrap_arm(&play.fault);
	MADE(zcreq_context_new(NULL, &play.context));
	MADE(zcreq_ev_new(play.loop, play.context, &play.ev));
	MADE(zcreq_threads_open(play.context, 0));
	play.source = (struct zcreq_source){ .turn = turn_nothing, .fd = source_fd,
					     .arg = &readable };
	MADE(zcreq_source_add(play.context, &play.source));
	for (i = 0; i < 2; i++) {
		open_end(&play.ends[i]);
		send_all(&play.ends[i]);
	}
	if (play.ends[0].conn)
		(void)!zcreq_conn_drain(play.ends[0].conn, 0);
	run_for(3);
	if (play.ends[1].conn)
		(void)!zcreq_conn_abort(play.ends[1].conn, -ECANCELED);
	run_for(TOO_LONG_MS);
	CLAIM(!play.too_long);
	CLAIM(zcreq_source_remove(play.context, &play.source) == 0);
	zcreq_ev_free(play.ev);
	CLAIM(zcreq_context_free(play.context) == 0);
	wrap_arm(NULL);
	stop_loop();
	close(readable);
	for (i = 0; i < 2; i++)
		close(play.ends[i].peer);
}

static void check_end(const struct end *end, int usual)
{
	const struct fault_error *what = play.fault.what;
	int status = end->abort_status;

	CLAIM(end->released == 1 && end->closed == 1 && end->aborted <= 1);
	/* what was settled before has succeeded: the end of the stream was waited for */
	CLAIM(end->status == (end->settled_before ? 0 : end->abort_status));
	/* opening may survive a failure that lasts, and then its looks fail as well */
	if (!play.fault.failed || what->effect == FAULT_SURVIVED ||
	    (play.fault.opening && play.fault.failed == 1))
		CLAIM(status == usual);
	else
		CLAIM(status == usual || status == -what->error || status == -ECONNRESET);
}

static char *where; /* the point, for the parent of a test that fails */
static unsigned points;

static void visit(unsigned at, const struct fault_error *what, unsigned times)
{
	int before = open_descriptors();

	if (at)
		snprintf(where, WHERE_BYTES, "crossing %u, error %d, %s", at, what->error,
			 times == 1 ? "once" : "lasting");
	tell(at, what, times);
	check_end(&play.ends[0], 0);
	check_end(&play.ends[1], -ECANCELED);
	CLAIM(play.ends[0].abort_status || play.ends[0].received == BIG);
	CLAIM(play.fault.failed <= 100 && play.turns <= 100); /* nobody spins on it */
	CLAIM(wrap_live_blocks == 0);
	CLAIM(open_descriptors() == before);
	points += play.fault.failed > 0;
}

START_TEST(every_call_of_the_adapter_fails_cleanly)
{
	unsigned char kinds[sizeof(play.fault.kinds)];
	unsigned at, crossings, i;

	visit(0, NULL, 0);
	crossings = play.fault.crossings;
	memcpy(kinds, play.fault.kinds, sizeof(kinds));
	CLAIM(crossings > 20 && crossings < sizeof(kinds));
	for (at = 1; at <= crossings; at++) {
		for (i = 0; i < fault_error_count; i++) {
			if (fault_errors[i].kind != kinds[at - 1])
				continue;
			visit(at, &fault_errors[i], 1);
			visit(at, &fault_errors[i], fault_errors[i].most);
		}
	}
	printf("faults=ev crossings=%u points=%u\n", crossings, points);
}
END_TEST

/* ---- libev's own memory ------------------------------------------------------------ */

static unsigned reallocs, realloc_fails_at;

static void *failing_realloc(void *block, long size)
{
	if (!size) {
		free(block);
		return NULL;
	}
	return ++reallocs == realloc_fails_at ? NULL : realloc(block, (size_t)size);
}

/* In a process of its own: what became of it. */
static int play_without(unsigned at)
{
	static const struct rlimit no_core;
	int status = 0;
	pid_t child = fork();

	CLAIM(child >= 0);
	if (!child) {
		/* libev says that it cannot allocate: expected, and not for the log */
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		realloc_fails_at = at;
		ev_set_allocator(failing_realloc);
		visit(0, NULL, 0);
		_exit(reallocs < at ? 0 : 1);
	}
	CLAIM(waitpid(child, &status, 0) == child);
	return status;
}

START_TEST(libev_without_memory_ends_the_program_and_no_worse)
{
	unsigned at = 0;
	int status;

	do {
		status = play_without(++at);
		CLAIM(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
	} while (status);
	CLAIM(at > 5);
	printf("faults=libev allocations=%u\n", at - 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ev faults");
	TCase *tcase = tcase_create("plays");
	size_t i;
	int ret;

	if (emulated_states())
		return 77;
	where = mmap(NULL, WHERE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (where == MAP_FAILED)
		return 1;
	for (i = 0; i < BIG; i++)
		memory[i] = pattern(i);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, every_call_of_the_adapter_fails_cleanly);
	tcase_add_test(tcase, libev_without_memory_ends_the_program_and_no_worse);
	suite_add_tcase(suite, tcase);
	ret = suite_run(suite);
	if (ret)
		printf("at %s\n", where);
	return ret;
}

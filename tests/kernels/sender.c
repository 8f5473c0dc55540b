/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sender - sends buffers through a network card, and lends each to somebody else as soon
 * as it is released: the program that ring.py runs in a guest
 *
 *	sender ADDRESS PORT [uring=1] [count=N] [stall_ms=N] [linger_ms=N] [detach=1] [crime=1]
 *
 * Request n is filled with the byte n % 200 + 1. A released buffer belongs to the next
 * tenant, who fills it with NEXT_TENANT at once: not one such byte may be on the wire.
 * With count it drains after so many requests, without it goes on; SIGUSR1 aborts. With
 * detach what is left then is detached. With crime all buffers are the next tenant's right after the abort, proof or not: the
 * control, which shows that the wire would tell.
 *
 * Says on stdout what happens, one word and its numbers a line. Exit status 0 if all
 * buffers came back, 77 if there is no io_uring.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#ifdef HAVE_RING
#include <zcreq/uring.h>
#endif
#include <zcreq/zcreq.h>

#define EACH_BYTES (128 << 10)
#define BUFFERS 64
#define NEXT_TENANT 0xdb
#define MOST_SLEEP_MS 50 /* a signal may come just before the sleep */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { URING, REQUESTS, STALL_MS, LINGER_MS, DETACH, CRIME };

static struct {
	const char *name;
	unsigned value;
} options[] = {
	[URING] = {"uring", 0}, [REQUESTS] = {"count", 0}, [STALL_MS] = {"stall_ms", 0},
	[LINGER_MS] = {"linger_ms", 0},
	[DETACH] = {"detach", 0}, [CRIME] = {"crime", 0},
};

static struct buffer {
	unsigned char *bytes;
	bool lent; /* the library has it */
} buffers[BUFFERS];

static struct zcreq_context *context;
static struct zcreq_conn *conn;
static unsigned begun, released, quarantined;
static uint64_t abort_ns;
static volatile sig_atomic_t told_to_abort;

static void check(const char *what, int ret)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "sender: %s: %s\n", what, strerror(-ret));
	exit(EXIT_FAILURE);
}

static unsigned since_abort_ms(void)
{
	return abort_ns ? (unsigned)((zcreq_now_ns() - abort_ns) / 1000000) : 0;
}

/* ---- what is heard ---- */

static void released_hook(zcreq_id id, int status, void *arg)
{
	struct buffer *buffer = arg;

	(void)id;
	(void)status;
	buffer->lent = false;
	released++;
	memset(buffer->bytes, NEXT_TENANT, EACH_BYTES);
}

static void quarantined_hook(zcreq_id id, void *arg)
{
	(void)id;
	(void)arg;
	printf("quarantined %u after %u\n", ++quarantined, since_abort_ms());
}

static const struct zcreq_request_hooks request_hooks = {
	.released = released_hook,
	.quarantined = quarantined_hook,
};

static void abort_hook(struct zcreq_conn *aborted, int status, void *arg)
{
	(void)aborted;
	(void)arg;
	if (!abort_ns)
		abort_ns = zcreq_now_ns();
	printf("abort %d\n", status);
}

static const struct zcreq_conn_hooks conn_hooks = {.abort = abort_hook};

static void usr1(int number)
{
	(void)number;
	told_to_abort = 1;
}

/* ---- what is done ---- */

static void parse(int argc, char **argv)
{
	if (argc < 3)
		check("usage: sender ADDRESS PORT [NAME=NUMBER]...", -EINVAL);
	for (int i = 3; i < argc; i++) {
		size_t len = strcspn(argv[i], "="), n = 0;

		while (n < COUNT(options) && (strncmp(options[n].name, argv[i], len) ||
					      options[n].name[len] || argv[i][len] != '='))
			n++;
		if (n == COUNT(options))
			check(argv[i], -EINVAL);
		options[n].value = (unsigned)strtoul(argv[i] + len + 1, NULL, 10);
	}
}

static int dial(const char *address, const char *port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1)
		check(address, -EINVAL);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)))
		check("connect", -errno);
	return fd;
}

static int open_stream(const struct zcreq_stream_options *stream, void **ring)
{
	*ring = NULL;
	if (!options[URING].value)
		return zcreq_stream_open(context, stream, &conn);
#ifdef HAVE_RING
	if (!zcreq_uring_new(context, NULL, (struct zcreq_uring **)ring))
		return zcreq_uring_stream_open(*ring, context, stream, &conn);
#endif
	puts("skipped: no io_uring");
	exit(77);
}

static void submit(void)
{
	for (size_t i = 0; i < BUFFERS; i++) {
		struct buffer *buffer = &buffers[i];
		const struct iovec iov = {buffer->bytes, EACH_BYTES};

		if (buffer->lent || (options[REQUESTS].value && begun == options[REQUESTS].value))
			continue;
		memset(buffer->bytes, (int)(begun % 200 + 1), EACH_BYTES);
		check("send", zcreq_send(conn, &request_hooks, buffer, &iov, 1, 0, NULL));
		buffer->lent = true;
		begun++;
	}
}

/* A ring may have a submission under way for a moment, whose addresses it has to look up. */
static void detach_now(void)
{
	const uint64_t start_ns = zcreq_now_ns();
	int ret;

	while ((ret = zcreq_conn_detach(conn, 0)) == -EBUSY) {
		poll(NULL, 0, 1);
		zcreq_turn(context, zcreq_now_ns());
	}
	check("detach", ret);
	zcreq_turn(context, zcreq_now_ns());
	printf("detached %u in %llu us\n", begun - released,
	       (unsigned long long)(zcreq_now_ns() - start_ns) / 1000);
}

static void abort_now(void)
{
	abort_ns = zcreq_now_ns();
	check("abort", zcreq_conn_abort(conn, -ECANCELED));
	zcreq_turn(context, zcreq_now_ns());
	for (size_t i = 0; options[CRIME].value && i < BUFFERS; i++)
		memset(buffers[i].bytes, NEXT_TENANT, EACH_BYTES);
	printf("left %u of %u\n", begun - released, begun);
	if (options[DETACH].value)
		detach_now();
}

/* Until the connection is closed, which is when the last buffer is back. */
static void serve(void)
{
	for (;;) {
		struct pollfd fd = {zcreq_context_fd(context), POLLIN, 0};
		uint64_t now_ns = zcreq_now_ns(), deadline_ns;
		int ms;

		if (zcreq_conn_state(conn) == ZCREQ_CONN_OPEN) {
			submit();
			if (told_to_abort)
				abort_now();
			else if (options[REQUESTS].value && begun == options[REQUESTS].value)
				check("drain", zcreq_conn_drain(conn, 0));
		}
		deadline_ns = zcreq_turn(context, now_ns);
		if (zcreq_conn_state(conn) == ZCREQ_CONN_CLOSED)
			return;
		ms = zcreq_timeout_ms(deadline_ns, now_ns);
		poll(&fd, 1, ms < 0 || ms > MOST_SLEEP_MS ? MOST_SLEEP_MS : ms);
	}
}

int main(int argc, char **argv)
{
	struct zcreq_stream_options stream = {
		.size = sizeof(stream), .hooks = &conn_hooks, .mode = ZCREQ_MODE_ALWAYS,
		.flags = ZCREQ_STREAM_DETACH,
	};
	struct zcreq_stats stats;
	void *ring;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(argc, argv);
	signal(SIGUSR1, usr1);
	for (size_t i = 0; i < BUFFERS; i++) {
		buffers[i].bytes = mmap(NULL, EACH_BYTES, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (buffers[i].bytes == MAP_FAILED)
			check("memory", -errno);
	}
	stream.stall_ms = options[STALL_MS].value;
	stream.linger_ms = options[LINGER_MS].value;
	check("context", zcreq_context_new(NULL, &context));
	stream.fd = dial(argv[1], argv[2]);
	check("open", open_stream(&stream, &ring));
	serve();
	check("statistics", zcreq_context_stats(context, &stats, sizeof(stats)));
	printf("end begun %u released %u quarantined %u after %u zerocopy %llu copied %llu\n", begun,
	       released, quarantined, since_abort_ms(), (unsigned long long)stats.zerocopy_batches,
	       (unsigned long long)stats.notified_copied);
	zcreq_conn_free(conn);
#ifdef HAVE_RING
	check("ring", zcreq_uring_free(ring));
#endif
	check("context", zcreq_context_free(context));
	return released == begun ? EXIT_SUCCESS : EXIT_FAILURE;
}

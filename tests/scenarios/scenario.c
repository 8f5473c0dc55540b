/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenario.c - plays a scenario in a world and prints it again with what was observed
 *
 *	trace fake|real <SCENARIO
 *
 * A scenario is a text of three kinds of lines: "# " says what it is about, "> " is a
 * command, and the lines after a command are what was observed, in the words that
 * trace.h explains. On input these are passed over; on output they are what this
 * world did. So a scenario that holds its own output holds what must come again:
 * check_trace.sh compares. Commands:
 *
 *	need WORD             exit 77 where the machine cannot (not observed)
 *	limit WORD NUMBER     before open: see struct world
 *	open FAMILY [sndbuf=N] [rcvbuf=N] [plain]   plain: without SO_ZEROCOPY
 *	send N [TIMES]        with MSG_ZEROCOPY;  copy N: without
 *	fill N                sends of N bytes until one is refused
 *	fault N               N good bytes and 4096 unreadable ones in one call
 *	host WORD, peer WORD  see struct world
 *	wait MS
 *	reap                  reads the error queue;  await: until every id was told
 *	rough                 ids are a matter of chance from here on
 *	poll, info, error     poll bits, TCP_INFO, SO_ERROR
 *	disconnect, shutdown, timeout MS, close, close-reset (with SO_LINGER 0)
 *	overwrite             all memory that was sent from gets another content
 *	read                  the peer reads all that is there
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "scenarios/scenario.h"

#define ARENA_BYTES (16u << 20)
#define FAULT_BYTES 4096
#define AWAIT_MS 5000
#define AWAIT_STEP_MS 20
#define EXIT_SKIPPED 77

static const struct world *world;
static struct world_socket sock;
static struct trace_ids ids;
static bool zerocopy;
static uint8_t *arena, *unreadable, *sink;
static uint64_t accepted, received, changed;

static uint8_t byte_at(uint64_t position)
{
	return (uint8_t)(position % 251);
}

static void die(const char *what, const char *word)
{
	fprintf(stderr, "trace: %s: %s\n", what, word ? word : "");
	exit(1);
}

static unsigned long number(const char *word)
{
	char *end;
	unsigned long value = word ? strtoul(word, &end, 10) : 0;

	if (!word || *end || end == word)
		die("not a number", word);
	return value;
}

static void make_memory(void)
{
	arena = mmap(NULL, ARENA_BYTES + FAULT_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sink = malloc(ARENA_BYTES);
	if (arena == MAP_FAILED || !sink)
		die("memory", NULL);
	for (uint64_t i = 0; i < ARENA_BYTES; i++)
		arena[i] = byte_at(i);
	unreadable = arena + ARENA_BYTES;
}

/* ---- sending ---- */

static long send_iovs(struct iovec *iov, size_t iovcnt, int flags)
{
	struct msghdr header = {.msg_iov = iov, .msg_iovlen = iovcnt};
	long ret;

	if (accepted + iov[0].iov_len > ARENA_BYTES)
		die("more than the arena", NULL);
	ret = sock.ops->sendmsg(sock.fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL | flags, sock.arg);
	if (ret > 0) {
		accepted += (uint64_t)ret;
		ids.given += zerocopy && flags;
	}
	return ret;
}

static long send_once(size_t len, int flags)
{
	struct iovec iov = {arena + accepted, len};

	return send_iovs(&iov, 1, flags);
}

static const char *took(long ret, size_t len)
{
	return ret < 0 ? trace_result(ret) : (size_t)ret < len ? "part" : "all";
}

static void send_times(size_t len, unsigned long times, int flags)
{
	char before[32] = "", now[32];
	unsigned long run = 0;

	for (unsigned long i = 0; i < times; i++) {
		snprintf(now, sizeof(now), "%s", took(send_once(len, flags), len));
		if (run && strcmp(now, before)) {
			printf("%s x%lu, ", before, run);
			run = 0;
		}
		memcpy(before, now, sizeof(now));
		run++;
	}
	printf("%s x%lu\n", before, run);
}

static void run_send(char *const *words)
{
	send_times(number(words[0]), words[1] ? number(words[1]) : 1, MSG_ZEROCOPY);
}

static void run_copy(char *const *words)
{
	send_times(number(words[0]), words[1] ? number(words[1]) : 1, 0);
}

static void run_fill(char *const *words)
{
	size_t len = number(words[0]);
	long ret;

	do
		ret = send_once(len, MSG_ZEROCOPY);
	while (ret > 0);
	printf("%s\n", trace_result(ret));
}

static void run_fault(char *const *words)
{
	size_t len = number(words[0]);
	struct iovec iov[2] = {{arena + accepted, len}, {unreadable, FAULT_BYTES}};
	bool some = len > 0;

	printf("%s\n", took(send_iovs(iov + !some, 1 + some, MSG_ZEROCOPY), len + FAULT_BYTES));
}

/* ---- the world ---- */

static void run_need(char *const *words)
{
	const char *why = world->missing(words[0] ? words[0] : "");

	if (!why)
		return;
	fprintf(stderr, "%s\n", why);
	exit(EXIT_SKIPPED);
}

static void run_limit(char *const *words)
{
	if (!words[0] || !world->limit(words[0], words[1] ? number(words[1]) : 0))
		die("limit", words[0]);
}

static void run_open(char *const *words)
{
	static const char *const families[] = {"ipv4", "ipv6", "mapped"};
	struct world_options options = {0};
	const int one = 1;
	bool plain = false;

	for (; *words; words++) {
		for (unsigned f = 0; f < 3; f++) {
			if (!strcmp(*words, families[f]))
				options.family = (enum world_family)f;
		}
		if (!strncmp(*words, "sndbuf=", 7))
			options.sndbuf = (int)number(*words + 7);
		if (!strncmp(*words, "rcvbuf=", 7))
			options.rcvbuf = (int)number(*words + 7);
		plain = plain || !strcmp(*words, "plain");
	}
	sock = world->open(&options);
	world->unreadable(unreadable, FAULT_BYTES);
	if (plain)
		return;
	if (sock.ops->setsockopt(sock.fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one), sock.arg))
		die("SO_ZEROCOPY", NULL);
	zerocopy = true;
}

static void run_host(char *const *words)
{
	if (!words[0] || !world->host(words[0]))
		die("host", words[0]);
}

static void run_peer(char *const *words)
{
	if (!words[0] || !world->peer(words[0]))
		die("peer", words[0]);
}

static void run_wait(char *const *words)
{
	world->wait((unsigned)number(words[0]));
}

static void run_read(char *const *words)
{
	static const char *const ends[] = {"", ", then the end", ", then a reset"};
	enum world_end end;
	size_t len;

	(void)words;
	end = world->read(sink, ARENA_BYTES, &len);
	for (size_t i = 0; i < len; i++)
		changed += sink[i] != byte_at(received + i);
	received += len;
	printf("%s%s%s\n",
	       received == accepted ? "all" : received ? "a part" : "none",
	       changed ? ", changed" : "", ends[end]);
}

/* ---- what the library asks and does ---- */

static void run_reap(char *const *words)
{
	(void)words;
	trace_reap(&ids, &sock);
	trace_reaped(&ids);
}

static void run_await(char *const *words)
{
	unsigned ms = 0;

	(void)words;
	trace_reap(&ids, &sock);
	for (; ids.heard < ids.given && ms < AWAIT_MS; ms += AWAIT_STEP_MS) {
		world->wait(AWAIT_STEP_MS);
		trace_reap(&ids, &sock);
	}
	trace_reaped(&ids);
	if (ids.heard < ids.given)
		printf("late\n");
}

static void run_rough(char *const *words)
{
	(void)words;
	ids.rough = true;
}

static void run_poll(char *const *words)
{
	(void)words;
	trace_poll(world->poll());
}

static void run_info(char *const *words)
{
	(void)words;
	trace_info(&sock, accepted);
}

static void run_error(char *const *words)
{
	socklen_t len = sizeof(int);
	int error = 0;
	int ret = sock.ops->getsockopt(sock.fd, SOL_SOCKET, SO_ERROR, &error, &len, sock.arg);

	(void)words;
	printf("%s\n", ret ? trace_result(ret) : error ? trace_result(-error) : "0");
}

static void run_disconnect(char *const *words)
{
	(void)words;
	printf("%s\n", trace_result(sock.ops->disconnect(sock.fd, sock.arg)));
}

static void run_shutdown(char *const *words)
{
	(void)words;
	printf("%s\n", trace_result(sock.ops->shutdown(sock.fd, SHUT_RDWR, sock.arg)));
}

static void run_timeout(char *const *words)
{
	const int ms = (int)number(words[0]);

	printf("%s\n", trace_result(sock.ops->setsockopt(sock.fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
							 &ms, sizeof(ms), sock.arg)));
}

static void run_close(char *const *words)
{
	(void)words;
	printf("%s\n", trace_result(sock.ops->close(sock.fd, sock.arg)));
}

static void run_close_reset(char *const *words)
{
	const struct linger reset = {.l_onoff = 1};

	sock.ops->setsockopt(sock.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset), sock.arg);
	run_close(words);
}

static void run_overwrite(char *const *words)
{
	(void)words;
	memset(arena, 0xee, accepted);
}

static const struct command {
	const char *name;
	void (*run)(char *const *words);
} commands[] = {
	{"need", run_need},         {"limit", run_limit},
	{"open", run_open},         {"send", run_send},
	{"copy", run_copy},         {"fill", run_fill},
	{"fault", run_fault},       {"host", run_host},
	{"peer", run_peer},         {"wait", run_wait},
	{"reap", run_reap},         {"await", run_await},
	{"rough", run_rough},       {"poll", run_poll},
	{"info", run_info},         {"error", run_error},
	{"shutdown", run_shutdown}, {"disconnect", run_disconnect},
	{"timeout", run_timeout},   {"close", run_close},
	{"overwrite", run_overwrite}, {"close-reset", run_close_reset},
	{"read", run_read},
};

static void run(char *line)
{
	char *words[8] = {0};
	unsigned n = 0;

	for (char *word = strtok(line, " \n"); word && n < 7; word = strtok(NULL, " \n"))
		words[n++] = word;
	for (unsigned i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (n && !strcmp(words[0], commands[i].name)) {
			commands[i].run(words + 1);
			return;
		}
	}
	die("no such command", words[0]);
}

int main(int argc, char **argv)
{
	char line[256];

	if (argc != 2 || (strcmp(argv[1], "fake") && strcmp(argv[1], "real")))
		die("usage", "trace fake|real <SCENARIO");
	world = strcmp(argv[1], "fake") ? &world_real : &world_fake;
	run_need((char *[]){"namespaces", NULL}); /* forks: memory comes later, see doc/kernel.md */
	make_memory();
	while (fgets(line, sizeof(line), stdin)) {
		if (line[0] == '#' || line[0] == '>')
			fputs(line, stdout);
		if (line[0] == '>')
			run(line + 1);
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause */
#include "examples/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "real/real.h"
#include "support/witness.h"

struct server server;

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void server_setup(void)
{
	ck_ok(net_open(&server.net));
	server.pid = 0;
}

void server_teardown(void)
{
	if (server.pid)
		kill(server.pid, SIGKILL);
	net_close(&server.net);
}

/* ---- what it says ---- */

/* The first line with both, ended by a NUL for the caller; NULL if there is none. */
static const char *find_line(const char *one, const char *two)
{
	static char line[512];
	const char *at = server.said;

	while (*at) {
		size_t len = strcspn(at, "\n");

		if (at[len] && len < sizeof(line)) {
			memcpy(line, at, len);
			line[len] = '\0';
			if (strstr(line, one) && strstr(line, two))
				return line;
		}
		at += len + (at[len] == '\n');
	}
	return NULL;
}

/* What has come until now, after waiting for @timeout_ms at most; false at its end. */
static bool listen_to(int timeout_ms)
{
	struct pollfd fd = {server.out, POLLIN, 0};
	ssize_t len;

	if (poll(&fd, 1, timeout_ms) <= 0)
		return true;
	ck_assert_uint_lt(server.len, sizeof(server.said) - 1);
	len = read(server.out, server.said + server.len, sizeof(server.said) - 1 - server.len);
	if (len <= 0)
		return false;
	server.len += (size_t)len;
	server.said[server.len] = '\0';
	return true;
}

const char *server_says(const char *one, const char *two)
{
	uint64_t until = now_ms() + WAIT_MS;
	const char *line;

	while (!(line = find_line(one, two))) {
		if (!listen_to(100) || now_ms() > until)
			ck_abort_msg("no line with \"%s\" and \"%s\" in:\n%s", one, two,
				     server.said);
	}
	return line;
}

unsigned long server_number(const char *line, const char *unit)
{
	const char *at = strstr(line, unit);

	ck_assert_msg(at && at > line + 1, "no number of%s in: %s", unit, line);
	while (at > line && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return strtoul(at, NULL, 10);
}

/* ---- its life ---- */

static void run(const char *program, const char *const *arguments, int out)
{
	char path[128], *argv[6] = {path};
	pid_t parent = getppid();

	snprintf(path, sizeof(path), "examples/%s", program);
	for (int i = 0; arguments[i]; i++)
		argv[i + 1] = strdup(arguments[i]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	dup2(out, STDOUT_FILENO);
	execv(path, argv);
	perror(path);
	_exit(127);
}

void server_start(const char *program, const char *const *arguments)
{
	int out[2];

	ck_ok(pipe2(out, O_CLOEXEC));
	server.len = 0;
	server.said[0] = '\0';
	server.out = out[0];
	server.pid = fork();
	ck_assert_int_ge(server.pid, 0);
	if (server.pid == 0)
		run(program, arguments, out[1]);
	close(out[1]);
	server.port = (uint16_t)atoi(strstr(server_says("listening on port", ""), "port") + 5);
}

void server_ask_to_end(void)
{
	ck_ok(kill(server.pid, SIGTERM));
}

void server_has_ended(void)
{
	uint64_t until = now_ms() + WAIT_MS;
	int status;

	while (listen_to(100))
		ck_assert_msg(now_ms() < until, "it does not end; it said:\n%s", server.said);
	ck_assert_int_eq(waitpid(server.pid, &status, 0), server.pid);
	server.pid = 0;
	close(server.out);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x; it said:\n%s",
		      (unsigned)status, server.said);
}

void server_stop(void)
{
	server_ask_to_end();
	server_has_ended();
}

/* ---- clients ---- */

int client_connect(enum net_side side)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server.port)};
	const struct timeval patience = {.tv_sec = WAIT_MS / 1000};
	int fd = net_socket(&server.net, side, AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	inet_pton(AF_INET, side == NET_NEAR ? "127.0.0.1" : "10.9.0.1", &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	ck_ok(connect(fd, (struct sockaddr *)&to, sizeof(to)));
	return fd;
}

void client_send(int fd, const void *bytes, size_t len)
{
	ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

void client_read(int fd, void *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t got = recv(fd, (char *)bytes + at, len - at, 0);

		ck_assert_msg(got > 0, "%zu of %zu bytes came, then %s; it said:\n%s", at, len,
			      got ? strerror(errno) : "the end", server.said);
		at += (size_t)got;
	}
}

void client_expect_end(int fd)
{
	char byte;

	ck_assert_int_eq(recv(fd, &byte, 1, 0), 0);
}

void client_vanishes(int fd, void (*serve)(int fd), int other)
{
	static char sink[1 << 16];
	uint64_t begin_ms, start_ms, took_ms, lost_ms;
	const char *line;

	witness_start();
	witness_watch(server.pid);
	ck_ok(net_misdirect(&server.net, true));
	begin_ms = start_ms = now_ms();
	witness_lost_ms();
	while (!(line = find_line("10.9.0.2", "gone: vanished"))) {
		/* it opens its window, and so is heard of, for as long as something is left */
		while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
			start_ms = now_ms();
		serve(other);
		ck_assert_msg(listen_to(5) && now_ms() < begin_ms + WAIT_MS, "nothing but:\n%s",
			      server.said);
	}
	took_ms = now_ms() - start_ms;
	lost_ms = (uint64_t)witness_lost_ms();
	say("%s; told after %llu ms, of which the machine lost %llu\n", line,
	    (unsigned long long)took_ms, (unsigned long long)lost_ms);
	ck_assert_uint_eq(server_number(line, " now"), 0);
	ck_assert_msg(took_ms <= STALL_MS + MARGIN_MS + lost_ms, "after %llu ms, lost %llu",
		      (unsigned long long)took_ms, (unsigned long long)lost_ms);
	serve(other);
}

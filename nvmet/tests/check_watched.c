/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * check_watched.c - a host vanishes, and somebody looks at it with zcreq-top
 *
 * The target keeps its page of statistics; the program is asked as a person would ask it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"

#define QUEUES 4
#define DEPTH 100 /* of each: more than all sockets hold */
#define BYTES 131072u

static char path[64];

static void setup(void)
{
	const char *const arguments[] = {
		"--listen", HOSTS_LISTEN_0, "--listen", HOSTS_LISTEN_1, "--namespace", "mem:64M",
		"--stall-ms", STALL_TEXT, "--drain-ms", "300", "--stats-page", path, NULL,
	};

	snprintf(path, sizeof(path), "/tmp/zcreq-watched.%d", (int)getpid());
	ck_assert_msg(hosts_make(&fixture_hosts), "%s", fixture_hosts.reason);
	ck_assert(target_start(&fixture_target, fixture_hosts.target, arguments));
}

static void teardown(void)
{
	unlink(path);
	hosts_free(&fixture_hosts);
}

/* What zcreq-top says now. */
static const char *top(const char *how)
{
	static char said[65536];
	char command[512];
	FILE *program;

	snprintf(command, sizeof(command), "'%s' %s %s 2>&1", getenv("ZCREQ_TOP"), how, path);
	program = popen(command, "r");
	ck_assert_ptr_nonnull(program);
	said[fread(said, 1, sizeof(said) - 1, program)] = '\0';
	ck_assert_msg(pclose(program) == 0, "%s", said);
	return said;
}

/* The line in which a queue's address is; NULL: there is none. */
static const char *line_of(const char *said, const struct ini_queue *queue, char line[256])
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	char name[64], host[INET_ADDRSTRLEN];
	const char *found, *begin;

	ck_assert_int_eq(getsockname(queue->fd, (struct sockaddr *)&address, &len), 0);
	inet_ntop(AF_INET, &address.sin_addr, host, sizeof(host));
	snprintf(name, sizeof(name), " %s:%u ", host, ntohs(address.sin_port));
	found = strstr(said, name);
	if (!found)
		return NULL;
	for (begin = found; begin > said && begin[-1] != '\n'; begin--)
		continue;
	snprintf(line, 256, "%.*s", (int)strcspn(begin, "\n"), begin);
	return line;
}

/* Looks until the words are there, at the rate of a person who cannot wait. */
static const char *top_until(const char *words, struct load *others)
{
	uint64_t end_ns = ini_now_ns() + INI_WAIT_MS * 1000000ull;
	const char *said;

	for (;;) {
		said = top("--once");
		if (strstr(said, words))
			return said;
		ck_assert_msg(ini_now_ns() < end_ns, "no \"%s\" in:\n%s", words, said);
		load_run(others, NULL, 50);
	}
}

START_TEST(a_host_vanishes_under_somebodys_eyes)
{
	struct ini_controller *bystander, *controller;
	struct stamps large, small;
	struct load others, reader;
	const char *said;
	char line[256];

	bystander = fixture_connect_from(1, target_host(&fixture_target, 1, 1, 32));
	controller = fixture_connect_from(0, target_host(&fixture_target, 0, QUEUES, 128));
	fixture_stamps(&large, bystander, 1, 32 << 20);
	fixture_stamps(&small, bystander, 1, 1 << 20);
	load_start(&others, bystander, &small, LOAD_READ, 1, 4);
	load_start(&reader, controller, &large, LOAD_READ, BYTES / large.block_size, DEPTH);
	said = top_until("number  connection to", &others);
	ck_assert_ptr_eq(strstr(said, "zcreq-nvmet, process "), said);
	load_run(&others, &reader, 300);
	hosts_link(&fixture_hosts, 0, false);
	said = top_until("ended before their time: 5", &others);
	/* every queue of the host, and why; the other host's are as they were */
	for (int i = 0; i <= QUEUES; i++) {
		ck_assert_ptr_nonnull(line_of(said, controller->queues[i], line));
		ck_assert_msg(strstr(line, " (Connection timed out), "), "%s", line);
	}
	ck_assert_ptr_nonnull(strstr(said, "the peer has vanished"));
	for (int i = 0; i <= 1; i++) {
		ck_assert_ptr_nonnull(line_of(said, bystander->queues[i], line));
		ck_assert_msg(strstr(line, " open "), "%s", line);
	}
	ck_assert_ptr_null(strstr(said, " 0 vanished"));
	said = top("--prometheus");
	ck_assert_ptr_nonnull(strstr(said, "zcreq_up{name=\"zcreq-nvmet\",page=\"0\"} 1\n"));
	ck_assert(load_stop(&others, "the other host"));
	ini_controller_close(controller, false);
	load_discard(&reader);
	stamps_deinit(&large);
	stamps_deinit(&small);
	ck_assert(ini_controller_shutdown(bystander));
	fixture_stop();
	said = top("--once");
	ck_assert_msg(strstr(said, "\nthe program has stopped its page, "), "%s", said);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme watched");
	TCase *tcase = tcase_create("watched");

	target_need();
	fixture_need_hosts();
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, a_host_vanishes_under_somebodys_eyes);
	suite_add_tcase(suite, tcase);
	return fixture_run(suite);
}

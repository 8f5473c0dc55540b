/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_setup.c - what the command line sets up: hosts, namespaces, access, and all of it again
 *
 * Who may connect; namespaces from a file; the state of the way to them; and that a target which
 * was ended, or killed, in the midst of its work is the same one when it is started again.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define BLOCK 4096u
#define DISCOVERY "nqn.2014-08.org.nvmexpress.discovery"
#define SPECIFIC(code) (0x100 | (code))
#define MANY 300u

static char list[32], disk[32];

/* The checked fixture: two files without content, gone with the test. */
static void make_files(void)
{
	strcpy(list, "check_setup-list.XXXXXX");
	strcpy(disk, "check_setup-disk.XXXXXX");
	close(mkstemp(list));
	close(mkstemp(disk));
}

static void stop(void)
{
	unlink(list);
	unlink(disk);
	if (fixture_target.pid > 0)
		fixture_stop();
}

static void start(const char *const *arguments)
{
	ck_assert(target_start(&fixture_target, -1, arguments));
}

static void write_list(const char *format, ...)
{
	FILE *file = fopen(list, "w");
	va_list arguments;

	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	fclose(file);
}

static struct ini_controller *connect_to(const char *nqn, unsigned number)
{
	struct ini_host host = target_host(&fixture_target, number, 0, 32);

	host.nqn = nqn;
	return fixture_connect_host(&host);
}

static int log_page(struct ini_controller *controller, uint32_t page, void *data)
{
	struct wire_sqe sqe = { .opcode = 0x02, .nsid = 0xffffffff, .cdw10 = page | (BLOCK / 4 - 1) << 16 };

	return ini_wait(controller->queues[0], &sqe, data, BLOCK, false, 0, NULL, INI_WAIT_MS);
}

/* --- hosts ------------------------------------------------------------------------ */

static int connect_status(unsigned number)
{
	struct ini_host host = target_host(&fixture_target, number, 0, 32);
	struct ini_queue *queue = ini_open(&host.options, 0, 32, INI_WAIT_MS);
	uint16_t id;
	int status = ini_connect(queue, &host, INI_ANY_CONTROLLER, &id);

	ini_close(queue, false);
	return status;
}

static int subsystems_found_by(unsigned number)
{
	struct ini_controller *discovery = connect_to(DISCOVERY, number);
	static uint8_t page[BLOCK];

	ck_assert_int_eq(log_page(discovery, 0x70, page), 0);
	ini_controller_close(discovery, false);
	return page[8]; /* NUMREC, of which the rest is zero */
}

START_TEST(host_that_is_not_allowed_is_refused_and_finds_nothing)
{
	static const char *const arguments[] = {
		"--listen", "127.0.0.1:0", "--namespace", "mem:1M", "--allow-host",
		"nqn.2014-08.org.example:test-host-3", "--allow-host",
		"nqn.2014-08.org.example:test-host-1", NULL
	};
	struct ini_controller *controller;

	start(arguments);
	for (unsigned number = 1; number <= 4; number++) {
		bool allowed = number == 1 || number == 3;

		ck_assert_int_eq(connect_status(number), allowed ? 0 : SPECIFIC(0x84));
		ck_assert_int_eq(subsystems_found_by(number), allowed);
	}
	ck_assert_int_eq(target_log_count(&fixture_target, 0, "not-allowed",
					  "host=nqn.2014-08.org.example:test-host-2"), 1);
	controller = fixture_connect(3, 1, 16);
	fixture_serves(controller);
	ini_controller_close(controller, false);
}
END_TEST

START_TEST(every_host_is_allowed_where_none_is_named)
{
	static const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:1M", NULL };

	start(arguments);
	ck_assert_int_eq(connect_status(7), 0);
	ck_assert_int_eq(subsystems_found_by(7), 1);
}
END_TEST

/* --- namespaces from a file ------------------------------------------------------- */

static uint64_t blocks_of(struct ini_controller *controller, uint32_t nsid)
{
	struct ini_namespace ns;

	ck_assert(ini_namespace(controller, nsid, &ns));
	return ns.blocks;
}

/* The descriptor of this type, or NULL. */
static const uint8_t *descriptor(struct ini_controller *controller, uint32_t nsid, uint8_t type)
{
	static uint8_t page[BLOCK];
	unsigned at = 0;

	ck_assert_int_eq(ini_identify(controller, 0x03, nsid, page), 0);
	while (page[at] && page[at] != type)
		at += 4u + page[at + 1];
	return page[at] ? page + at + 4 : NULL;
}

static const uint8_t given_uuid[16] = { 0x7d, 0x44, 0x48, 0x40, 0x9d, 0xc0, 0x11, 0xd1,
					0xb2, 0x45, 0x5f, 0xfd, 0xce, 0x74, 0xfa, 0xd2 };
static const uint8_t given_nguid[16] = { 0x47, 0x11, 0xca, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 };

START_TEST(namespaces_of_a_file_are_what_it_says)
{
	const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:1M",
					  "--namespaces", list, NULL };
	static uint8_t page[BLOCK];
	struct ini_controller *controller;

	write_list("# the first is --namespace's\n"
		   "\tuuid=7D444840-9dc0-11d1-b245-5ffdce74fad2   mem:2M \r\n"
		   "\n"
		   "nguid=4711cafe000000000000000000000001\tmem:3M\n"
		   "  nguid=4711cafe000000000000000000000002 uuid=7d4448409dc011d1b2455ffdce74fad3 file:%s:4M",
		   disk);
	start(arguments);
	controller = fixture_connect(1, 1, 16);
	for (uint32_t nsid = 1; nsid <= 4; nsid++)
		ck_assert_uint_eq(blocks_of(controller, nsid), nsid * 256);
	ck_assert_int_eq(memcmp(descriptor(controller, 2, 3), given_uuid, 16), 0);
	ck_assert_ptr_null(descriptor(controller, 2, 2));
	ck_assert_int_eq(memcmp(descriptor(controller, 3, 2), given_nguid, 16), 0);
	ck_assert_ptr_nonnull(descriptor(controller, 3, 3));
	ck_assert_int_eq(descriptor(controller, 4, 2)[15], 2);
	ck_assert_int_eq(descriptor(controller, 4, 3)[15], 0xd3);
	ck_assert_int_eq(ini_identify(controller, 0x00, 3, page), 0);
	ck_assert_int_eq(memcmp(page + 104, given_nguid, 16), 0); /* NGUID */
	ini_controller_close(controller, false);
}
END_TEST

START_TEST(a_file_can_have_very_many_namespaces)
{
	const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespaces", list, NULL };
	FILE *file = fopen(list, "w");
	struct ini_controller *controller;
	static uint8_t page[BLOCK], data[BLOCK];

	for (uint32_t nsid = 1; nsid <= MANY; nsid++)
		fprintf(file, "mem:%uK\n", nsid * 4);
	fclose(file);
	start(arguments);
	controller = fixture_connect(1, 1, 16);
	ck_assert_int_eq(ini_identify(controller, 0x02, 0, page), 0);
	for (uint32_t nsid = 1; nsid <= MANY; nsid++) {
		ck_assert_uint_eq(page[4 * nsid - 4] | page[4 * nsid - 3] << 8, nsid);
		ck_assert_uint_eq(blocks_of(controller, nsid), nsid);
		memset(data, (int)nsid, sizeof(data));
		ck_assert_int_eq(ini_transfer(controller, 1, 0x01, nsid, nsid - 1, 1, data, BLOCK), 0);
	}
	for (uint32_t nsid = 1; nsid <= MANY; nsid++) {
		ck_assert_int_eq(ini_transfer(controller, 1, 0x02, nsid, nsid - 1, 1, data, BLOCK), 0);
		ck_assert_uint_eq(data[77], nsid & 0xff);
	}
	ini_controller_close(controller, false);
}
END_TEST

#define UUID_1 "uuid=7d444840-9dc0-11d1-b245-5ffdce74fad2 "
#define NGUID_1 "nguid=4711cafe000000000000000000000001 "

static const struct {
	const char *lines;
	unsigned number; /* of the line that is wrong */
} wrong_lists[] = {
	{ "mem:1M\nfoo:1M\n", 2 },
	{ "uuid=7d444840 mem:1M\n", 1 },
	{ "uuid=7d444840-9dc0-11d1-b245-5ffdce74fadg mem:1M\n", 1 },
	{ "uuid=7d444840-9dc0-11d1-b245-5ffdce74fad2aa mem:1M\n", 1 },
	{ "nguid=00000000000000000000000000000000 mem:1M\n", 1 },
	{ "\n#\n" UUID_1 "\n", 3 },
	{ UUID_1 UUID_1 "mem:1M\n", 1 },
	{ UUID_1 "mem:1M\n" UUID_1 "mem:2M\n", 2 },
	{ NGUID_1 "mem:1M\nmem:1M\n" NGUID_1 "mem:2M", 3 },
	{ "block=512 mem:1M\n", 1 },
};

START_TEST(wrong_line_is_told_by_its_number)
{
	char command[512], line[256] = "", want[64];
	FILE *program;
	int status;

	write_list("%s", wrong_lists[_i].lines);
	snprintf(command, sizeof(command), "'%s' --listen 127.0.0.1:0 --namespaces %s 2>&1",
		 getenv("ZCREQ_NVMET"), list);
	program = popen(command, "r");
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), program));
	status = pclose(program);
	snprintf(want, sizeof(want), "zcreq-nvmet: %s:%u: ", list, wrong_lists[_i].number);
	ck_assert_msg(!strncmp(line, want, strlen(want)), "%s", line);
	ck_assert_int_eq(WEXITSTATUS(status), 2);
}
END_TEST

/* --- options from a file ------------------------------------------------------------ */

/* What the target says last when it is started with these words, and how it ends. */
static int last_line(const char *words, char *line, size_t size)
{
	char command[512], next[256];
	FILE *program;

	snprintf(command, sizeof(command), "'%s' %s 2>&1", getenv("ZCREQ_NVMET"), words);
	program = popen(command, "r");
	line[0] = 0;
	while (fgets(next, sizeof(next), program))
		snprintf(line, size, "%s", next);
	return WEXITSTATUS(pclose(program));
}

/* A file of every kind of option; what the command line says after it counts. */
START_TEST(options_of_a_file_are_those_of_the_command_line)
{
	const char *const arguments[] = { "--namespace", "mem:1M", "--config", list, "--queue-size", "64",
					  "--listen", "127.0.0.1:0", NULL };
	struct ini_controller *controller;

	write_list("# a target\n\n"
		   "namespace = file:%s:2M\r\n"
		   "\tnamespace=mem:3M  \n"
		   "block = 512\n"
		   "queue-size = 128\n"
		   "cap = 4M\n"
		   "no-digests\n"
		   "nqn = nqn.2014-08.org.example:from=a=file\n"
		   "allow-host = nqn.2014-08.org.example:test-host-1", disk);
	start(arguments);
	ck_assert_int_eq(subsystems_found_by(2), 0);
	controller = connect_to("nqn.2014-08.org.example:from=a=file", 1);
	for (uint32_t nsid = 1; nsid <= 3; nsid++)
		ck_assert_uint_eq(blocks_of(controller, nsid), nsid * 2048);
	ini_controller_close(controller, false);
}
END_TEST

static const struct {
	const char *lines;
	unsigned number; /* of the line that is wrong */
} wrong_files[] = {
	{ "poll\nstal-ms = 1\n", 2 },
	{ "stall-ms\n", 1 },
	{ "stall-ms =\n", 1 },
	{ "\n#\nstall-ms = soon\n", 3 },
	{ "stall-ms 5\n", 1 },
	{ "--stall-ms = 5\n", 1 },
	{ "poll = yes\n", 1 },
	{ "config = another\n", 1 },
	{ "help\n", 1 },
	{ "version\n", 1 },
	{ "= 5\n", 1 },
	{ "mode = sometimes", 1 },
};

START_TEST(wrong_option_is_told_by_its_line)
{
	char words[128], line[256], want[64];

	write_list("%s", wrong_files[_i].lines);
	snprintf(words, sizeof(words), "--listen 127.0.0.1:0 --config %s", list);
	ck_assert_int_eq(last_line(words, line, sizeof(line)), 2);
	snprintf(want, sizeof(want), "zcreq-nvmet: %s:%u: ", list, wrong_files[_i].number);
	ck_assert_msg(!strncmp(line, want, strlen(want)), "%s", line);
}
END_TEST

START_TEST(there_is_one_file_of_options_or_none)
{
	char words[128], line[256];

	snprintf(words, sizeof(words), "--config %s --config %s", list, list);
	ck_assert_int_eq(last_line(words, line, sizeof(line)), 2);
	ck_assert_ptr_nonnull(strstr(line, "there is one already"));
	ck_assert_int_eq(last_line("--config /nowhere/at/all", line, sizeof(line)), 2);
	ck_assert_ptr_nonnull(strstr(line, "No such file"));
}
END_TEST

/* --- access ------------------------------------------------------------------------ */

static const char *const states[] = { NULL, "optimized", "non-optimized", "inaccessible" };

START_TEST(access_is_told_and_enforced)
{
	const char *const arguments[] = { "--listen", "127.0.0.1:0", "--namespace", "mem:1M", "--namespace",
					  "mem:1M", states[_i] ? "--ana" : NULL, states[_i], NULL };
	/* header, descriptor, identifiers: change count 1, one group; 1, two of them, change count 1 */
	uint8_t want[56] = { 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
			     1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, (uint8_t)_i,
			     [48] = 1, [52] = 2 };
	struct wire_sqe events = { .opcode = 0x09, .cdw10 = 0x0b, .cdw11 = 1 << 11 };
	static uint8_t page[BLOCK];
	struct ini_controller *controller;

	start(arguments);
	controller = fixture_connect(1, 1, 16);
	ck_assert_int_eq(log_page(controller, 0x0c, page), _i ? 0 : SPECIFIC(0x09));
	if (_i)
		ck_assert_int_eq(memcmp(page, want, sizeof(want)), 0);
	ck_assert_int_eq(ini_wait(controller->queues[0], &events, NULL, 0, false, 0, NULL, INI_WAIT_MS),
			 _i ? 0 : 0x02);
	ck_assert_int_eq(ini_transfer(controller, 1, 0x02, 1, 0, 1, page, BLOCK), _i == 3 ? 0x302 : 0);
	ck_assert_int_eq(ini_transfer(controller, 1, 0x01, 2, 0, 1, page, BLOCK), _i == 3 ? 0x302 : 0);
	if (_i) { /* of groups only */
		ck_assert_int_eq(log_page(controller, 0x10c, page), 0);
		want[20] = 0;
		ck_assert_int_eq(memcmp(page, want, 48), 0);
	}
	ini_controller_close(controller, false);
}
END_TEST

/* --- again ------------------------------------------------------------------------- */

static void kill_target(void)
{
	kill(fixture_target.pid, SIGKILL);
	waitpid(fixture_target.pid, NULL, 0);
	close(fixture_target.log);
}

/* What says who it is and how it is reached; all of Identify but the controller's id. */
struct identity {
	uint8_t controller[BLOCK], namespaces[2][2][BLOCK], access[BLOCK];
};

static void read_identity(struct identity *identity)
{
	struct ini_controller *controller = fixture_connect(1, 0, 16);

	ck_assert_int_eq(ini_identify(controller, 0x01, 0, identity->controller), 0);
	identity->controller[78] = identity->controller[79] = 0;
	for (uint32_t nsid = 1; nsid <= 2; nsid++) {
		ck_assert_int_eq(ini_identify(controller, 0x00, nsid, identity->namespaces[nsid - 1][0]), 0);
		ck_assert_int_eq(ini_identify(controller, 0x03, nsid, identity->namespaces[nsid - 1][1]), 0);
	}
	ck_assert_int_eq(log_page(controller, 0x0c, identity->access), 0);
	ini_controller_close(controller, false);
}

/* 0: ended by a signal that it hears; 1: killed. The file is there then, and needs no size. */
START_TEST(identity_is_the_same_after_a_restart)
{
	char spec[64];
	const char *const arguments[] = { "--listen", "127.0.0.1:0", "--ana", "optimized", "--namespace",
					  spec, "--namespaces", list, NULL };
	static struct identity before, after;

	write_list(NGUID_1 "mem:1M\n");
	snprintf(spec, sizeof(spec), "file:%s:2M", disk);
	start(arguments);
	read_identity(&before);
	if (_i)
		kill_target();
	else
		ck_assert_int_eq(target_stop(&fixture_target), 0);
	snprintf(spec, sizeof(spec), "file:%s", disk);
	start(arguments);
	read_identity(&after);
	ck_assert_int_eq(memcmp(&before, &after, sizeof(before)), 0);
}
END_TEST

static void listen_again(char *address, size_t size)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&fixture_target.address;

	snprintf(address, size, "127.0.0.1:%u", ntohs(in->sin_port));
}

static void all_queues_end(struct ini_controller *controller)
{
	for (int i = 0; i < controller->count; i++)
		ck_assert_msg(fixture_wait_end(controller->queues[i], INI_WAIT_MS), "queue %d", i);
}

/* The controller that the host had is none of the new target's. */
static void old_controller_is_not_there(struct ini_host host, uint16_t id)
{
	struct ini_queue *queue = ini_open(&host.options, 1, 32, INI_WAIT_MS);
	uint16_t got;

	ck_assert_msg(!queue->ended, "%s", queue->reason);
	ck_assert_int_eq(ini_connect(queue, &host, id, &got), SPECIFIC(0x82));
	ini_close(queue, false);
}

/* At full depth when the target goes (0: a signal, 1: killed); then the host connects again,
 * its I/O queues too, finds what it wrote, and works as before. */
START_TEST(host_works_on_after_a_restart_in_mid_run)
{
	char spec[64], address[32] = "127.0.0.1:0";
	const char *const arguments[] = { "--listen", address, "--namespace", spec, "--drain-ms", "300", NULL };
	struct ini_controller *controller;
	struct stamps stamps;
	struct ini_host host;
	struct load load;

	snprintf(spec, sizeof(spec), "file:%s:16M", disk);
	start(arguments);
	host = target_host(&fixture_target, 1, 3, 64);
	controller = fixture_connect_host(&host);
	fixture_stamps(&stamps, controller, 1, 8 << 20);
	load_start(&load, controller, &stamps, LOAD_READ, 4, 32);
	load_run(&load, NULL, 200);
	listen_again(address, sizeof(address));
	if (_i)
		kill_target();
	else
		ck_assert_int_eq(target_stop(&fixture_target), 0);
	all_queues_end(controller);
	load_discard(&load);
	start(arguments);
	old_controller_is_not_there(host, controller->id);
	ini_controller_close(controller, false);
	controller = fixture_connect_host(&host);
	for (int mode = LOAD_READ; mode <= LOAD_MIXED; mode++) {
		load_start(&load, controller, &stamps, (enum load_mode)mode, 4, 32);
		load_run(&load, NULL, 200);
		ck_assert(load_stop(&load, "after the restart"));
	}
	stamps_deinit(&stamps);
	for (int qid = 1; qid <= 3; qid++) {
		char key[16];

		snprintf(key, sizeof(key), "qid=%d", qid);
		ck_assert_int_eq(target_log_count(&fixture_target, 0, "connect", key), 1);
	}
	ck_assert(ini_controller_shutdown(controller));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nvme setup");
	TCase *tcase = tcase_create("setup");

	target_need();
	tcase_add_checked_fixture(tcase, make_files, stop);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, host_that_is_not_allowed_is_refused_and_finds_nothing);
	tcase_add_test(tcase, every_host_is_allowed_where_none_is_named);
	tcase_add_test(tcase, namespaces_of_a_file_are_what_it_says);
	tcase_add_test(tcase, a_file_can_have_very_many_namespaces);
	tcase_add_loop_test(tcase, wrong_line_is_told_by_its_number, 0,
			    sizeof(wrong_lists) / sizeof(wrong_lists[0]));
	tcase_add_test(tcase, options_of_a_file_are_those_of_the_command_line);
	tcase_add_loop_test(tcase, wrong_option_is_told_by_its_line, 0,
			    sizeof(wrong_files) / sizeof(wrong_files[0]));
	tcase_add_test(tcase, there_is_one_file_of_options_or_none);
	tcase_add_loop_test(tcase, access_is_told_and_enforced, 0, 4);
	tcase_add_loop_test(tcase, identity_is_the_same_after_a_restart, 0, 2);
	tcase_add_loop_test(tcase, host_works_on_after_a_restart_in_mid_run, 0, 2);
	suite_add_tcase(suite, tcase);
	return fixture_run(suite);
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_http.c - the file servers of the examples serve files, and free what is to be freed
 *
 * The same for each loop: files arrive byte for byte, one after the other and pipelined;
 * what is not a file of the folder is refused; a slow reader and one that vanishes cost
 * what they may, and others notice nothing.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "examples/server.h"
#include "real/real.h"

#define BIG_BYTES (16u << 20)
#define SMALL_BYTES 1000u
#define LIMIT_BYTES (1u << 20) /* examples/http.c */
#define CHUNK_BYTES (256u << 10)

static const char *const programs[] = {
	"http-epoll",
#ifdef HAVE_LIBEV
	"http-ev",
#endif
#ifdef HAVE_LIBURING
	"http-uring",
#endif
};
enum { PROGRAMS = sizeof(programs) / sizeof(programs[0]) };

static char folder[] = "/tmp/check_http.XXXXXX";

/* Not periodic in any power of two. */
static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)((offset * 0x9e3779b97f4a7c15u) >> 56);
}

static void start(int i)
{
	server_start(programs[i], (const char *const[]){folder, "0.0.0.0:0", NULL});
}

/* ---- a client ---- */

static void request(int fd, const char *path)
{
	char text[512];
	int len = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: near\r\n\r\n", path);

	client_send(fd, text, (size_t)len);
}

/* The head of an answer, one byte after the other; returns its status. */
static int read_head(int fd, char *head, size_t size)
{
	size_t len = 0;

	do {
		ck_assert_uint_lt(len, size - 1);
		client_read(fd, head + len, 1);
		head[++len] = '\0';
	} while (len < 4 || strcmp(head + len - 4, "\r\n\r\n") != 0);
	ck_assert(!strncmp(head, "HTTP/1.1 ", 9));
	return atoi(head + 9);
}

/* An answer of @len bytes of the pattern, a piece at a time. */
static void expect_file(int fd, uint64_t len, size_t piece)
{
	static uint8_t bytes[1 << 16];
	char head[512], *field;

	ck_assert_int_eq(read_head(fd, head, sizeof(head)), 200);
	field = strstr(head, "Content-Length: ");
	ck_assert(field && strtoull(field + 16, NULL, 10) == len);
	for (uint64_t at = 0; at < len; at += piece) {
		piece = piece < len - at ? piece : len - at;
		client_read(fd, bytes, piece);
		for (size_t i = 0; i < piece; i++)
			expect(bytes[i] == byte_at(at + i));
	}
}

static void ask_big(int fd)
{
	request(fd, "/big");
}

static void fetch_small(int fd)
{
	request(fd, "/small");
	expect_file(fd, SMALL_BYTES, 512);
}

/* ---- the claims ---- */

START_TEST(files_arrive_whole_one_after_the_other)
{
	int far, near;

	start(_i);
	far = client_connect(NET_FAR);
	near = client_connect(NET_NEAR);
	for (int i = 0; i < 2; i++) {
		fetch_small(far);
		request(far, "/big?with=a%20query");
		expect_file(far, BIG_BYTES, 65536);
		request(near, "/%62ig");
		expect_file(near, BIG_BYTES, 65536);
		request(far, "/empty");
		expect_file(far, 0, 1);
	}
	request(near, "/folder/inside");
	expect_file(near, SMALL_BYTES, 512);
	request(near, "/");
	expect_file(near, SMALL_BYTES, 512);
	close(far);
	ck_assert_uint_eq(server_number(server_says("10.9.0.2", "gone: drained"), " answers"), 6);
	server_stop();
	client_expect_end(near);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	char text[4096] = "";
	int fd;

	start(_i);
	fd = client_connect(NET_FAR);
	for (int i = 0; i < 30; i++)
		strcat(text, i % 10 == 5 ? "GET /big HTTP/1.1\r\nHost: near\r\n\r\n"
					 : "GET /small HTTP/1.1\r\nhost:near\r\n\r\n");
	strcat(text, "GET /empty HTTP/1.1\r\nHost: near\r\nConnection: close\r\n\r\n"
		     "GET /small HTTP/1.1\r\nHost: too late\r\n\r\n");
	client_send(fd, text, 100); /* ends in the middle of a head */
	expect_file(fd, SMALL_BYTES, 512);
	client_send(fd, text + 100, strlen(text) - 100);
	for (int i = 1; i < 30; i++)
		expect_file(fd, i % 10 == 5 ? BIG_BYTES : SMALL_BYTES, 65536);
	expect_file(fd, 0, 1);
	client_expect_end(fd);
	server_says("10.9.0.2", "gone: drained; 31 answers");
	server_stop();
}
END_TEST

static const struct refusal {
	const char *request;
	int status;
	enum { GOES_ON, ENDS } then;
} refusals[] = {
	{"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, GOES_ON},
	{"GET /folder HTTP/1.1\r\nHost: a\r\n\r\n", 404, GOES_ON},
	{"GET /fifo HTTP/1.1\r\nHost: a\r\n\r\n", 404, GOES_ON},
	{"GET /../secret HTTP/1.1\r\nHost: a\r\n\r\n", 404, GOES_ON},
	{"GET /folder/../../secret HTTP/1.1\r\nHost: a\r\n\r\n", 404, GOES_ON},
	{"GET /folder/%2e%2E/small HTTP/1.1\r\nHost: a\r\n\r\n", 404, GOES_ON},
	{"GET //etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404, GOES_ON},
	{"GET /%2fetc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404, GOES_ON},
	{"GET /small%00.html HTTP/1.1\r\nHost: a\r\n\r\n", 400, ENDS},
	{"GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, ENDS},
	{"GET small HTTP/1.1\r\nHost: a\r\n\r\n", 400, ENDS},
	{"GET /small\r\n\r\n", 400, ENDS},
	{"GET /small HTTP/2.0\r\nHost: a\r\n\r\n", 400, ENDS},
	{"GET /small HTTP/1.1\r\n\r\n", 400, ENDS},
	{"GET /small HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, ENDS},
	{"GET /small HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde", 400, ENDS},
	{"GET /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
	 ENDS},
	{"GET /small HTTP/1.1\r\nHost : a\r\n\r\n", 400, ENDS},
	{"\r\n\r\n", 400, ENDS},
	{"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde", 405, ENDS},
	{"HEAD /small HTTP/1.1\r\nHost: a\r\n\r\n", 405, ENDS},
};
enum { REFUSALS = sizeof(refusals) / sizeof(refusals[0]) };

START_TEST(what_is_not_a_file_of_the_folder_is_refused)
{
	char head[512], noise[9000];
	int fd = -1;

	start(_i);
	for (int i = 0; i < REFUSALS; i++) {
		if (fd < 0)
			fd = client_connect(NET_NEAR);
		client_send(fd, refusals[i].request, strlen(refusals[i].request));
		ck_assert_int_eq(read_head(fd, head, sizeof(head)), refusals[i].status);
		ck_assert(strstr(head, "Content-Length: 0\r\n"));
		ck_assert_int_eq(!!strstr(head, "Allow: GET\r\n"), refusals[i].status == 405);
		ck_assert_int_eq(!!strstr(head, "Connection: close\r\n"), refusals[i].then == ENDS);
		if (refusals[i].then == GOES_ON) {
			fetch_small(fd);
			continue;
		}
		client_expect_end(fd);
		close(fd);
		fd = -1;
	}
	/* a head that does not end */
	fd = client_connect(NET_NEAR);
	memset(noise, 'a', sizeof(noise));
	client_send(fd, noise, sizeof(noise));
	ck_assert_int_eq(read_head(fd, head, sizeof(head)), 400);
	client_expect_end(fd);
	server_stop();
}
END_TEST

START_TEST(a_slow_reader_gets_all_and_costs_no_more_than_the_limit)
{
	unsigned long most;
	int fd;

	start(_i);
	fd = client_connect(NET_FAR);
	ask_big(fd);
	expect_file(fd, BIG_BYTES, 1000);
	close(fd);
	most = server_number(server_says("10.9.0.2", "gone: drained"), " bytes in use");
	say("%s: at most %lu KiB in use\n", programs[_i], most >> 10);
	ck_assert_uint_ge(most, CHUNK_BYTES);
	ck_assert_uint_le(most, 2 * LIMIT_BYTES + CHUNK_BYTES);
	server_stop();
}
END_TEST

START_TEST(a_client_that_vanishes_is_found_and_others_are_served)
{
	int far, near;

	start(_i);
	far = client_connect(NET_FAR);
	near = client_connect(NET_NEAR);
	fetch_small(far);
	ask_big(far);
	client_read(far, (char[60000]){0}, 60000);
	client_vanishes(far, fetch_small, near);
	server_stop();
}
END_TEST

/* What is queued may arrive, but an end does not wait for who reads nothing. */
START_TEST(it_ends_with_an_answer_on_its_way)
{
	int fd;

	start(_i);
	fd = client_connect(NET_FAR);
	fetch_small(fd);
	ask_big(fd);
	client_read(fd, (char[100]){0}, 100);
	server_stop();
	ck_assert(strstr(server.said, "gone: too slow to drain"));
	ck_assert(strstr(server.said, ", 0 now"));
}
END_TEST

/* ---- the folder ---- */

static void make_file(const char *name, unsigned len)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	if (!file)
		exit(99);
	for (unsigned i = 0; i < len; i++)
		putc(byte_at(i), file);
	if (fclose(file))
		exit(99);
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where)
{
	(void)about;
	(void)type;
	(void)where;
	return remove(path);
}

static void make_folder(void)
{
	char path[128];

	/* one below, so that there is something above it */
	if (!mkdtemp(folder))
		exit(99);
	make_file("big", BIG_BYTES);
	make_file("small", SMALL_BYTES);
	make_file("index.html", SMALL_BYTES);
	make_file("empty", 0);
	snprintf(path, sizeof(path), "%s/folder", folder);
	if (mkdir(path, 0755))
		exit(99);
	make_file("folder/inside", SMALL_BYTES);
	snprintf(path, sizeof(path), "%s/fifo", folder);
	if (mkfifo(path, 0600))
		exit(99);
}

/* http-uring says by its status that there is no ring here. */
static const char *missing(const char *program)
{
	static char command[256];
	int status;

	if (strcmp(program, "http-uring") != 0)
		return NULL;
	snprintf(command, sizeof(command), "timeout -s TERM 1 examples/%s %s 0 >/dev/null 2>&1",
		 program, folder);
	status = system(command);
	return WIFEXITED(status) && WEXITSTATUS(status) == 77 ? "no io_uring here" : NULL;
}

int main(void)
{
	Suite *suite = suite_create("examples: http");
	int ret;

	make_folder();
	for (int i = 0; i < PROGRAMS; i++) {
		TCase *group = real_group(suite, programs[i], server_setup, server_teardown,
					  missing(programs[i]));

		tcase_add_loop_test(group, files_arrive_whole_one_after_the_other, i, i + 1);
		tcase_add_loop_test(group, pipelined_requests_are_answered_in_order, i, i + 1);
		tcase_add_loop_test(group, what_is_not_a_file_of_the_folder_is_refused, i, i + 1);
		tcase_add_loop_test(group, a_slow_reader_gets_all_and_costs_no_more_than_the_limit,
				    i, i + 1);
		tcase_add_loop_test(group, a_client_that_vanishes_is_found_and_others_are_served, i,
				    i + 1);
		tcase_add_loop_test(group, it_ends_with_an_answer_on_its_way, i, i + 1);
	}
	ret = real_run(suite, NULL);
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return ret;
}

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check_page_kernel.c - what a page asks the kernel for: a file, and the addresses of peers
 *
 * Streams are on real sockets of the loopback; what getpeername(2) and mmap(2) say can be
 * chosen.
 */
#include "support/suite.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zcreq/zcreq.h>

#include "support/counting.h"
#include "support/emulated.h"
#include "support/wrapped.h"

#define ROOM 4
#define SECOND 1000000000ull

/* ---- what the kernel says ---- */

static const struct sockaddr *peer; /* NULL: it is asked */
static int peer_error;              /* not 0: it says this */
static unsigned peers_asked;
static bool no_memory;

int __real_getpeername(int fd, struct sockaddr *address, socklen_t *len);
int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *len);
void *__real_mmap(void *at, size_t len, int access, int flags, int fd, off_t offset);
void *__wrap_mmap(void *at, size_t len, int access, int flags, int fd, off_t offset);

int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *len)
{
	peers_asked++;
	if (peer_error) {
		errno = peer_error;
		return -1;
	}
	if (!peer)
		return __real_getpeername(fd, address, len);
	if (peer->sa_family == AF_INET)
		*len = sizeof(struct sockaddr_in);
	memcpy(address, peer, *len);
	return 0;
}

void *__wrap_mmap(void *at, size_t len, int access, int flags, int fd, off_t offset)
{
	if (!no_memory)
		return __real_mmap(at, len, access, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

/* ---- the scene: a page, and a connection over the loopback ---- */

static struct counting memory;
static struct zcreq_context *context;
static union {
	struct zcreq_page page;
	uint64_t words[(sizeof(struct zcreq_page) + ROOM * sizeof(struct zcreq_page_conn)) / 8];
} kept;
static const struct zcreq_page_conn *const records = (const void *)(&kept.page + 1);
static int others; /* the other end */
static struct zcreq_conn *conn;

static struct zcreq_conn *connected(void)
{
	struct zcreq_stream_options o = {.size = sizeof(o), .linger_ms = 1};
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct zcreq_conn *made = NULL;
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	o.fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(o.fd, (struct sockaddr *)&at, len), 0);
	others = accept(listener, NULL, NULL);
	close(listener);
	ck_assert_int_eq(zcreq_stream_open(context, &o, &made), 0);
	return made;
}

static void setup(void)
{
	const struct zcreq_page_options o = {
		.size = sizeof(o), .memory = &kept, .memory_bytes = sizeof(kept),
	};

	counting_init(&memory);
	context = counting_context(&memory, 0);
	ck_assert_int_eq(zcreq_page_keep(context, &o), 0);
	conn = connected();
}

static void teardown(void)
{
	zcreq_conn_free(conn);
	for (unsigned s = 100; s < 110; s++)
		zcreq_turn(context, s * SECOND);
	close(others);
	counting_end(&memory, context);
}

/* ---- names ---- */

START_TEST(a_connection_is_called_by_its_peer)
{
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(65535),
	};
	const struct sockaddr_in v4 = {
		.sin_family = AF_INET, .sin_port = htons(4420), .sin_addr = {htonl(0xc0000201)},
	};
	struct sockaddr_storage neither = {.ss_family = AF_UNIX};

	ck_assert_int_eq(inet_pton(AF_INET6, "2001:db8:1111:2222:3333:4444:5555:6666", &v6.sin6_addr), 1);
	if (_i == 0)
		peer = (const struct sockaddr *)&v4;
	else if (_i == 1)
		peer = (const struct sockaddr *)&v6;
	else if (_i == 2)
		peer = (const struct sockaddr *)&neither;
	else if (_i == 3)
		peer_error = ENOTCONN;
	errno = EXFULL;
	zcreq_turn(context, 2 * SECOND);
	ck_assert_int_eq(errno, EXFULL);
	ck_assert_uint_eq(peers_asked, 1);
	if (_i == 0)
		ck_assert_str_eq(records[0].name, "192.0.2.1:4420");
	else if (_i == 1)
		ck_assert_str_eq(records[0].name, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
	else if (_i < 4)
		ck_assert_str_eq(records[0].name, "");
	else
		ck_assert_ptr_eq(strstr(records[0].name, "127.0.0.1:"), records[0].name);
	teardown();
}
END_TEST

/* It was asked once. That it has no peer any more does not take its name. */
START_TEST(a_name_is_kept_to_the_end)
{
	char name[ZCREQ_PAGE_NAME];

	zcreq_turn(context, 2 * SECOND);
	memcpy(name, records[0].name, sizeof(name));
	ck_assert_str_ne(name, "");
	peer_error = ENOTCONN;
	zcreq_turn(context, 4 * SECOND);
	ck_assert_str_eq(records[0].name, name);
	ck_assert_uint_eq(peers_asked, 1);
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	/* in the turn that tells of the end it is written just before, or not at all */
	zcreq_turn(context, _i ? 5 * SECOND : 4 * SECOND);
	ck_assert_int_eq(zcreq_conn_state(conn), ZCREQ_CONN_CLOSED);
	zcreq_turn(context, 8 * SECOND);
	ck_assert_uint_eq(kept.page.conn_count, 0);
	ck_assert_uint_eq(kept.page.ended_seen, 1);
	ck_assert_str_eq(kept.page.ended[0].name, name);
	ck_assert_uint_eq(peers_asked, 1);
	teardown();
}
END_TEST

/* Connections @number - 1 and before are opened and freed; the next is opened. */
static struct zcreq_conn *numbered(uint32_t number)
{
	static uint32_t next = 1;

	for (; next < number; next++) {
		zcreq_conn_free(connected());
		close(others);
	}
	next++;
	return connected();
}

/* Their numbers are the same modulo every size of table that there may be. */
START_TEST(each_keeps_the_name_that_is_its_own)
{
	const int first_others = others;
	char names[3][ZCREQ_PAGE_NAME];
	struct zcreq_conn *more[2];
	int more_others[2];

	for (int i = 0; i < 2; i++) {
		more[i] = numbered(16 * (1 + (uint32_t)i));
		more_others[i] = others;
	}
	zcreq_turn(context, 2 * SECOND);
	ck_assert_uint_eq(kept.page.conns_seen, 3);
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(records[i].number, 16 * i);
		memcpy(names[i], records[i].name, sizeof(names[i]));
		for (int before = 0; before < i; before++)
			ck_assert_str_ne(names[i], names[before]);
	}
	ck_assert_uint_eq(peers_asked, 3);
	peer_error = ENOTCONN;
	/* the first goes: what it was in the way of is found where it is */
	ck_assert_int_eq(zcreq_conn_abort(conn, -ECONNRESET), 0);
	zcreq_turn(context, 4 * SECOND);
	zcreq_turn(context, 6 * SECOND);
	ck_assert_uint_eq(kept.page.conns_seen, 2);
	for (int i = 0; i < 2; i++)
		ck_assert_str_eq(records[i].name, names[i + 1]);
	ck_assert_str_eq(kept.page.ended[0].name, names[0]);
	ck_assert_uint_eq(peers_asked, 3);
	for (int i = 0; i < 2; i++) {
		zcreq_conn_free(more[i]);
		close(more_others[i]);
	}
	others = first_others;
	teardown();
}
END_TEST

/* One that was never in a page is asked for at its end, if there is still somebody. */
START_TEST(a_short_life_may_have_no_name)
{
	struct zcreq_conn *brief;

	zcreq_turn(context, 2 * SECOND);
	brief = connected();
	ck_assert_int_eq(zcreq_conn_abort(brief, -ECONNRESET), 0);
	zcreq_turn(context, 2 * SECOND);
	zcreq_conn_free(brief);
	zcreq_turn(context, 4 * SECOND);
	ck_assert_uint_eq(kept.page.ended_seen, 1);
	ck_assert_uint_eq(kept.page.ended[0].number, 1);
	ck_assert_str_eq(kept.page.ended[0].name, "");
	ck_assert_uint_eq(peers_asked, 2);
	teardown();
}
END_TEST

/* Somebody else has closed its descriptor, so that the number is nobody's, or another's. */
START_TEST(a_descriptor_that_is_another_s_is_not_asked_for)
{
	static char data[100];
	struct zcreq_conn *brief;

	zcreq_turn(context, 2 * SECOND);
	brief = connected();
	close(zcreq_stream_fd(brief));
	ck_assert_int_eq(zcreq_write(brief, data, sizeof(data)), 0);
	zcreq_turn(context, 2 * SECOND);
	ck_assert_int_eq(zcreq_conn_cause(brief), ZCREQ_CAUSE_DESCRIPTOR);
	zcreq_conn_free(brief);
	zcreq_turn(context, 4 * SECOND);
	ck_assert_uint_eq(kept.page.ended_seen, 1);
	ck_assert_str_eq(kept.page.ended[0].name, "");
	ck_assert_uint_eq(peers_asked, 1);
	teardown();
}
END_TEST

/* ---- the file ---- */

static char folder[] = "/tmp/zcreq-page.XXXXXX", path[64], pattern[64];

static void make_folder(void)
{
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/page", folder);
	snprintf(pattern, sizeof(pattern), "%s/*", folder);
}

/* So many files are in the folder, and then none. */
static void empty_folder(size_t files)
{
	glob_t found;

	glob(pattern, 0, NULL, &found);
	ck_assert_uint_eq(found.gl_pathc, files);
	for (size_t i = 0; i < found.gl_pathc; i++)
		remove(found.gl_pathv[i]);
	globfree(&found);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void *mapped(size_t bytes)
{
	void *at = NULL;

	ck_assert_int_eq(zcreq_page_map(path, bytes, &at), 0);
	ck_assert_ptr_nonnull(at);
	return at;
}

START_TEST(a_file_is_made_and_replaced)
{
	const size_t bytes = 2 * zcreq_page_bytes(5);
	struct stat file;
	char *first, *second;
	int fd;

	make_folder();
	first = mapped(bytes);
	ck_assert_int_eq(stat(path, &file), 0);
	ck_assert_uint_eq(file.st_mode, S_IFREG | 0600);
	ck_assert_int_eq(file.st_size, (off_t)bytes);
	ck_assert_int_ge(file.st_blocks * 512, (off_t)bytes);
	ck_assert(first[0] == 0 && first[bytes - 1] == 0);
	memset(first, 'a', bytes);
	fd = open(path, O_RDONLY);
	second = mapped(bytes);
	ck_assert(second[0] == 0 && first[0] == 'a');
	second[bytes - 1] = 'b';
	munmap(first, bytes);
	munmap(second, bytes);
	/* who has the file before open keeps it; in the folder is the new one */
	ck_assert_int_eq(pread(fd, &file, 1, 0), 1);
	ck_assert_int_eq(*(char *)&file, 'a');
	close(fd);
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(pread(fd, &file, 1, (off_t)bytes - 1), 1);
	ck_assert_int_eq(*(char *)&file, 'b');
	close(fd);
	empty_folder(1);
}
END_TEST

/* A file system that is full, or a process that may not make such a file. */
static int map_without_room(size_t bytes, void **at)
{
	struct rlimit all, few;
	int ret;

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &all), 0);
	few = all;
	few.rlim_cur = bytes - 1;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &few), 0);
	ret = zcreq_page_map(path, bytes, at);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
	signal(SIGXFSZ, SIG_DFL);
	return ret;
}

/* None of these leaves a file, or a word in errno. */
START_TEST(a_file_that_cannot_be_made_leaves_nothing)
{
	const size_t bytes = zcreq_page_bytes(1);
	char longest[PATH_MAX];
	void *at = NULL;
	glob_t left;

	make_folder();
	errno = EXFULL;
	ck_assert_int_eq(zcreq_page_map(NULL, bytes, &at), -EINVAL);
	ck_assert_int_eq(zcreq_page_map(path, bytes, NULL), -EINVAL);
	ck_assert_int_eq(zcreq_page_map(path, zcreq_page_bytes(0) - 1, &at), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(zcreq_page_map(longest, bytes, &at), -ENAMETOOLONG);
	ck_assert_int_eq(zcreq_page_map("/nowhere/page", bytes, &at), -ENOENT);
	ck_assert_int_eq(zcreq_page_map(folder, bytes, &at), -EISDIR);
	ck_assert_int_eq(zcreq_page_map(path, SIZE_MAX - 7, &at), -EINVAL);
	ck_assert_int_eq(map_without_room(bytes, &at), -EFBIG);
	no_memory = true;
	ck_assert_int_eq(zcreq_page_map(path, bytes, &at), -ENOMEM);
	ck_assert_int_eq(errno, EXFULL);
	ck_assert_ptr_null(at);
	empty_folder(0);
	snprintf(pattern, sizeof(pattern), "%s.*", folder);
	ck_assert_int_eq(glob(pattern, 0, NULL, &left), GLOB_NOMATCH);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("page and kernel");
	TCase *names = tcase_create("names"), *files = tcase_create("files");

	tcase_add_checked_fixture(names, setup, NULL);
	tcase_add_loop_test(names, a_connection_is_called_by_its_peer, 0, 5);
	tcase_add_loop_test(names, a_name_is_kept_to_the_end, 0, 2);
	tcase_add_test(names, each_keeps_the_name_that_is_its_own);
	tcase_add_test(names, a_short_life_may_have_no_name);
	tcase_add_test(names, a_descriptor_that_is_another_s_is_not_asked_for);
	if (!emulated_states())
		suite_add_tcase(s, names);
	tcase_add_test(files, a_file_is_made_and_replaced);
	tcase_add_test(files, a_file_that_cannot_be_made_leaves_nothing);
	suite_add_tcase(s, files);
	return suite_run(s);
}

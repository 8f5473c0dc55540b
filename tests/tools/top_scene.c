/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools/top_scene.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/suite.h"

static char folder[32];
char top_path[64];

void top_setup(void)
{
	strcpy(folder, "/tmp/zcreq-top.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(top_path, sizeof(top_path), "%s/page", folder);
}

void top_teardown(void)
{
	unlink(top_path);
	ck_assert_int_eq(rmdir(folder), 0);
}

struct top_page top_page(void)
{
	return (struct top_page){
		.head = {
			.magic = ZCREQ_PAGE_MAGIC,
			.byte_order = ZCREQ_PAGE_BYTE_ORDER,
			.version = ZCREQ_PAGE_VERSION,
			.page_bytes = sizeof(struct top_page),
			.sequence = 42,
			.state = ZCREQ_PAGE_KEPT,
			.interval_ms = 1000,
			.pid = (uint32_t)getpid(),
			.conn_count = 2,
			.conns_seen = 2,
			.ended_seen = 1,
			.ended_count = 1,
			.started_ns = TOP_NOW - 600 * 1000000000ull - 300000000,
			.written_ns = TOP_NOW - 300000000,
			.name = "a \"server\"",
			.stats = {
				.begun = 1500, .released = 1370, .aborted = 125, .requests_now = 130,
				.oldest_age_ns = 1900000000, .kernel_bytes_now = 16357785,
				.sent_bytes = 13212040397, .zerocopy_batches = 970,
				.copied_batches = 10, .notified_copied = 20,
				.stalled_vanished = 1, .connections_now = 2,
			},
			.ended = {{
				.name = "10.77.0.2:51230", .number = 1, .state = ZCREQ_CONN_CLOSED,
				.cause = ZCREQ_CAUSE_VANISHED, .status = -ETIMEDOUT,
				.verdict = ZCREQ_STALL_VANISHED,
				.ended_ns = TOP_NOW - 3200000000,
				.stats = {.begun = 800, .aborted = 125},
			}},
		},
		.conns = {
			{
				.name = "10.77.0.2:51234", .number = 3, .state = ZCREQ_CONN_OPEN,
				.cause = ZCREQ_CAUSE_NONE, .verdict = ZCREQ_STALL_CONGESTED,
				.quiet_ns = 1900000000,
				.stats = {
					.requests_now = 125, .oldest_age_ns = 1900000000,
					.kernel_bytes_now = 16357785, .zerocopy_batches = 500,
				},
			},
			{
				.name = "[2001:db8::1]:4000", .number = 4, .state = ZCREQ_CONN_DRAINING,
				.cause = ZCREQ_CAUSE_NONE,
				.stats = {
					.requests_now = 5, .unsent_bytes_now = 812,
					.zerocopy_batches = 60, .copied_batches = 40,
				},
			},
		},
	};
}

void top_write(const void *bytes, size_t len)
{
	int fd = open(top_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CLAIM(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

const char *top_read(struct pages *pages)
{
	return pages_read(top_path, pages);
}

/* What is printed of the file by one of the two: of @view, or, without one, samples. */
static char *text_of(const struct view *view, uint64_t now)
{
	static char *text; /* the stream keeps its address */
	struct pages pages;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	CLAIM(top_read(&pages) == NULL);
	if (view)
		screen_show(file, &pages, view);
	else
		prometheus_show(file, &pages, now);
	fclose(file);
	pages_free(&pages);
	return text;
}

char *top_screen(const struct view *view)
{
	return text_of(view, 0);
}

char *top_samples(uint64_t now)
{
	return text_of(NULL, now);
}

int top_run(const char *arguments, char *said, size_t size)
{
	char command[256];
	FILE *program;
	size_t len;
	int status;

	snprintf(command, sizeof(command), "tools/top/zcreq-top %s 2>&1", arguments);
	program = popen(command, "r");
	ck_assert_ptr_nonnull(program);
	len = fread(said, 1, size - 1, program);
	said[len] = '\0';
	status = pclose(program);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

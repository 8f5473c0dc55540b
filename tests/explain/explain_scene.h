/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_scene.h - somebody asks why: a stream on a stub whose TCP_INFO the test writes
 *
 * Every story is told in both formats and into buffers of every size: text is cut as
 * snprintf(3) cuts, JSON is whole or "{}".
 */
#ifndef ZCREQ_TESTS_EXPLAIN_SCENE_H
#define ZCREQ_TESTS_EXPLAIN_SCENE_H

#include <linux/tcp.h>
#include <stdint.h>
#include <sys/socket.h>

#include <zcreq/zcreq.h>

#include "support/recorder.h"
#include "support/stub.h"

#define MS (uint64_t)1000000

extern struct zcreq_context *context;
extern struct stub stub;
extern struct tcp_info info;
extern socklen_t info_bytes; /* how much the kernel knows of it */
extern struct zcreq_socket_ops ops;
extern struct zcreq_conn *conn; /* open, with a watchdog of 5 s, at 1000 ms */
extern struct heard heard[64];
extern char data[65536];
extern char text[ZCREQ_EXPLAIN_MAX]; /* what was said last */

/* A fixture: all of the above, and an end to it without leaks. */
void scene_setup(void);
void scene_teardown(void);

/* Another stream in the place of conn, on another socket. */
void scene_reopen(const struct zcreq_stream_options *options);

void turn_at(uint64_t ms);

/* The i-th request, with one send, finished. */
void sent(unsigned i, size_t len);

/* About the first request, the connection, or all. */
enum whom { REQUEST, CONN, CONTEXT };
int ask(enum whom whom, enum zcreq_format format, char *to, size_t size);

/* Asks in every size there is, and keeps the whole in text. */
void ask_in_all_sizes(enum whom whom, enum zcreq_format format);

/* The same in both formats; the text has these words, or the JSON has them. */
void assert_says(enum whom whom, const char *words);
void assert_json_says(enum whom whom, const char *words);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scale.h - what the measurements of scale.c share
 */
#ifndef ZCREQ_BENCH_SCALE_H
#define ZCREQ_BENCH_SCALE_H

#include <stddef.h>
#include <stdint.h>

#include <zcreq/zcreq.h>

#define CROWD 10000

#define EXIT_SKIPPED 77

/* Ends the program if @ret is a negative errno. */
void check(int ret);

/* A context whose memory is counted. */
struct zcreq_context *counted_context(void);
extern size_t counted_bytes; /* in use now */

/* Ends the program with 77 unless it may have so many descriptors. */
void want_descriptors(size_t count);

/*
 * So many TCP connections on loopback to another process, which reads what comes on all
 * but the first @unread of them. The near ends are left in @fds. The process is ended
 * with crowd_leave().
 */
void crowd_join(int *fds, size_t count, size_t unread);
void crowd_leave(void);

/* The measurements that have files of their own. */
void scale_traffic(void); /* scale_net.c */
void scale_abort(void);
void scale_loop(size_t count); /* scale_loop.c */

#endif

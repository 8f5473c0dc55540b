/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch_scene.h - a watched stream, and what TCP_INFO says of its peer
 */
#ifndef ZCREQ_TESTS_WATCH_SCENE_H
#define ZCREQ_TESTS_WATCH_SCENE_H

#include <linux/tcp.h>
#include <stddef.h>
#include <stdint.h>

#include "support/scene.h"

#define STALL_MS 500
#define START (1000 * MS)
#define MSS 1448

#define ALL sizeof(struct tcp_info)
#define NO_WINDOW offsetof(struct tcp_info, tcpi_snd_wnd)

/* One look. Times are milliseconds, rto and rtt too; @again 0: aborted. */
struct row {
	uint32_t bytes, unacked, notsent, window, ack, heard_data;
	uint8_t probes, backoff;
	uint32_t rto, rtt;
	enum zcreq_stall verdict;
	uint64_t again;
	uint32_t retransmits, sent, rttvar;
};

#define OK ZCREQ_STALL_CONGESTED
#define GONE ZCREQ_STALL_VANISHED
#define FULL ZCREQ_STALL_NOT_READING
#define DOUBT 0 /* nothing is told yet: the next look has to find the same */

/* The states of a connection that is told by hand: nothing of it is heard; open and
 * retransmitted, or its window closed. */
#define SILENT (struct row){ALL, 1, 0, MSS, 9999999, 9999999, 0, 0, 200, 0, GONE, 0, 2, 0, 0}
#define CLOSED (struct row){ALL, 1, 0, 0, 500, 500, 0, 0, 200, 0, FULL, 25, 0, 0, 0}
#define MOVING (struct row){ALL, 1, 0, MSS, 0, 9999, 0, 0, 200, 0, OK, STALL_MS, 0, 0, 0}
#define ACKED (struct row){ALL, 0, 0, MSS, 0, 9999, 0, 0, 200, 0, OK, STALL_MS, 0, 0, 0}

/* Said by the stub's TCP_INFO. */
extern struct tcp_info info;

void watch_setup(void);
void watch_teardown(void);

/* A stream with one batch in the kernel, and the turn at which its quiet begins. */
void open_quiet(uint32_t stall_ms, uint32_t not_reading_ms);

/* The same, and the batch was copied. */
void open_copying(uint32_t idle_ms);

void say(const struct row *row);
void quiet_for(uint32_t ack_ms, uint32_t data_ms);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watchdog.h - what the watchdog would say, for those who only ask
 */
#ifndef ZCREQ_LIB_WATCHDOG_H
#define ZCREQ_LIB_WATCHDOG_H

#include "stream/stream.h"

struct tcp_info;

/* Its verdict on what the kernel says, @len bytes of it; with a stall limit of a second
 * where there is none. */
enum zcreq_stall zcreq_watchdog_verdict(const struct zcreq_stream *stream,
					const struct tcp_info *info, socklen_t len,
					bool *window_closed_now);

/* For how long nothing was heard of the peer: no ACK, and no data. */
uint64_t zcreq_watchdog_quiet_ms(const struct tcp_info *info);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer.h - what TCP_INFO says of a connection and of its peer
 */
#ifndef ZCREQ_LIB_PEER_H
#define ZCREQ_LIB_PEER_H

#include <linux/tcp.h>
#include <stdbool.h>

/* tcpi_state */
enum {
	ZCREQ_TCP_FIN_WAIT2 = 5,
	ZCREQ_TCP_TIME_WAIT = 6,
	ZCREQ_TCP_CLOSE = 7,
};

/* Has the kernel anything that the peer has not acknowledged? */
static inline bool zcreq_peer_owes(const struct tcp_info *info)
{
	return info->tcpi_unacked || info->tcpi_notsent_bytes;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fin.pml - lib/stream/fin.c: a drain ends the stream, and waits until the peer has all
 *
 * What the library knows of the end (fin), and what is so (peer_has_end), which the kernel
 * tells by TCP_INFO and the judge knows. An end is acknowledged last, so it stands for every
 * byte before it, copies included.
 *
 * Left out: whether the stream is polled meanwhile (the states DEAF and OVER of
 * zcreq_fin_table), zcreq_conn_end() without a drain, and an end that is put off because
 * something was on its way when the stream was opened.
 */
byte fin;
bit peer_has_end;
bit in_order;     /* it was closed by its drain: status 0 */

#define FIN_NONE 0
#define FIN_SENT 1
#define FIN_ACKED 2

/* A state CLOSE of TCP means one or the other; bytes_acked tells them apart. */
#ifdef M_CLOSE_IS_ACKED
#define SEEN_ACKED (peer_has_end || dead)
#else
#define SEEN_ACKED peer_has_end
#endif

#ifdef M_SHUT_IS_ENOUGH
#define FIN_OVER (fin != FIN_NONE)
#else
#define FIN_OVER (fin == FIN_ACKED)
#endif

/* shutdown(2), when nothing is left before it. */
inline fin_end()
{
	if
	:: conn_state == CONN_DRAINING && fin == FIN_NONE -> fin = FIN_SENT
	:: else
	fi
}

/* By time, or with any event. What the peer has acknowledged outweighs a death. */
inline fin_look()
{
	if
	:: SEEN_ACKED ->
		fin = FIN_ACKED;
		conn_check_end()
	:: else -> conn_abort()
	fi
}

#define FIN_TELLS (conn_state == CONN_DRAINING && fin == FIN_SENT && (peer_has_end || dead))

/* The kernel: the acknowledgement has come. */
#define MAY_ACK_END (fin == FIN_SENT && !peer_has_end && !dead && !mute && !ANY(IN_KERNEL))

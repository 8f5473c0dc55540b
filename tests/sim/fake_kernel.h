/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fake_kernel.h - a TCP stack for tests: no socket, no thread, no time of its own
 *
 * A fake kernel is a clock and a set of fake sockets. Each socket is a
 * struct zcreq_socket_ops over a model of what Linux does with MSG_ZEROCOPY:
 * ids, notification records, the error queue, the send buffer, the peer. What
 * the model does by itself is what doc/kernel.md has as observed; everything
 * else happens when the test says so, through a knob or a call below.
 *
 * What makes it a judge and not only an actor: it knows which bytes of the
 * caller's memory it still references. A byte leaves for the receiver only when
 * it is acknowledged, and it leaves with the content that memory has then, as
 * the last retransmission would. So memory that was recycled too early shows
 * twice: as a changed byte in a referenced range, and as a foreign byte at the
 * receiver. Both are *violations*, kept as text. So is every call that the
 * contract of zcreq_socket_ops forbids (a call after close, an option that is
 * not listed, MSG_PEEK, a blocking call).
 *
 * Nothing here ends the program: a test asks fake_kernel_violations().
 */
#ifndef ZCREQ_FAKE_KERNEL_H
#define ZCREQ_FAKE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <zcreq/stream.h>

struct fake_kernel;
struct fake_socket;

/** Never, for the members that are milliseconds; no limit, for those that are bytes. */
#define FAKE_NEVER UINT64_MAX

/** The members of struct zcreq_socket_ops, to count them and to make them fail. */
enum fake_call {
	FAKE_SENDMSG,
	FAKE_RECVMSG,
	FAKE_GETSOCKOPT,
	FAKE_SETSOCKOPT,
	FAKE_DISCONNECT,
	FAKE_SHUTDOWN,
	FAKE_CLOSE,
	FAKE_CALLS,
};

/** Which error-queue format: 48 bytes of control message, or 60. */
enum fake_family {
	FAKE_IPV4,
	FAKE_IPV6,
	FAKE_V4MAPPED, /**< an IPv6 socket with an IPv4 peer: 60 bytes as well */
};

/** In which order a dying connection lets go of its records. */
enum fake_death_order {
	FAKE_DEATH_OBSERVED, /**< the unsent tail, then the retransmit queue: 2..8, 1..1 */
	FAKE_DEATH_IN_ORDER,
	FAKE_DEATH_REVERSED,
	FAKE_DEATH_SHUFFLED, /**< by the socket's seed */
};

/**
 * struct fake_knobs - how a fake socket behaves; may be changed at any time
 *
 * fake_socket_knobs_init() gives a healthy established IPv4 connection.
 *
 * What the socket is:
 * @family:             enum fake_family
 * @type:               what SO_TYPE says: SOCK_STREAM
 * @protocol:           what SO_PROTOCOL says: IPPROTO_TCP
 * @connected:          false: TCP_INFO says CLOSE and sends fail with EPIPE
 * @open_error:         if not 0, getsockopt and setsockopt fail so: EBADF, ENOTSOCK
 * @zerocopy_refused:   if not 0, how setsockopt(SO_ZEROCOPY) fails
 * @tcp_info_bytes:     how much of struct tcp_info this kernel knows; 0 is all
 * @first_id:           the id of the first zero-copy send; read when the socket is made
 * @zerocopy_on:        SO_ZEROCOPY is on already; read when the socket is made
 * @past_segments:      data segments that somebody has sent before
 * @seed:               for FAKE_DEATH_SHUFFLED; read when the socket is made
 *
 * The send path:
 * @sndbuf_bytes:       unacknowledged bytes it takes before EAGAIN
 * @accept_bytes:       the most that one sendmsg takes; FAKE_NEVER is no limit
 * @accept_once_bytes:  the same for the next sendmsg only; then FAKE_NEVER again
 * @record_bytes:       small consecutive sends share one notification record up to
 *                      this size (Linux: 524288); 0 gives each its own
 * @zerocopy_error:     if not 0, how every MSG_ZEROCOPY send fails, plain ones pass
 * @locked_pages:       locked-memory limit: ENOBUFS when size / 4096 + 2 more do not
 *                      fit, also with nothing in flight; FAKE_NEVER is no limit.
 *                      What all sockets of the kernel hold counts, as of one user
 * @optmem_bytes:       option memory: each record in flight and each unread notification
 *                      takes 832; ENOBUFS when less than 576 is left
 * @copies:             what is transmitted is copied then, and notified as COPIED at
 *                      once, before any acknowledgement
 * @receiver_copies:    what has reached a living peer is notified as COPIED, when it
 *                      would have been notified anyway (loopback, veth)
 *
 * The wire:
 * @cwnd_bytes:         the most that is in flight; what is beyond is the unsent tail
 * @rtt_ms:             how long a living peer's answer to a probe is on its way
 * @probe_limit_ms:     it answers no probe sooner than this after the last answer
 *                      (Linux: net.ipv4.tcp_invalid_ratelimit, 500)
 * @no_carrier:         the driver gives every packet back: nothing counts as sent any
 *                      more, and probes do not back off
 * @auto_ack:           the peer acknowledges within sendmsg: the notification is
 *                      readable before the call has returned
 * @qdisc_bytes:        so many bytes at the front of what is in flight are also
 *                      referenced by a queueing discipline or a driver ring, and
 *                      stay so when the connection dies
 * @qdisc_ms:           how long after the death; FAKE_NEVER until fake_socket_let_go()
 *
 * The error queue:
 * @coalesce:           notifications extend a contiguous one at the queue's tail
 * @post_twice:         each notification is posted twice, and none is extended
 * @control_lies:       the control message claims to be longer than it is
 *
 * The end:
 * @death_order:        enum fake_death_order
 * @disconnect_busy:    so many disconnects answer EBUSY first; counts down
 * @disconnect_error:   if not 0, every disconnect answers this and does nothing
 */
struct fake_knobs {
	enum fake_family family;
	int type;
	int protocol;
	bool connected;
	int open_error;
	int zerocopy_refused;
	size_t tcp_info_bytes;
	uint32_t first_id;
	bool zerocopy_on;
	unsigned past_segments;
	uint64_t seed;

	uint64_t sndbuf_bytes;
	uint64_t accept_bytes;
	uint64_t accept_once_bytes;
	uint64_t record_bytes;
	int zerocopy_error;
	uint64_t locked_pages;
	uint64_t optmem_bytes;
	bool copies;
	bool receiver_copies;

	uint64_t cwnd_bytes;
	uint64_t rtt_ms;
	uint64_t probe_limit_ms;
	bool no_carrier;
	bool auto_ack;
	uint64_t qdisc_bytes;
	uint64_t qdisc_ms;

	bool coalesce;
	bool post_twice;
	bool control_lies;

	enum fake_death_order death_order;
	unsigned disconnect_busy;
	int disconnect_error;
};

/** What a fake socket has seen and holds; a snapshot. */
struct fake_socket_report {
	uint64_t calls[FAKE_CALLS];
	uint64_t accepted_bytes;    /**< taken by sendmsg */
	uint64_t acked_bytes;       /**< received by the peer, in order */
	uint64_t sent_bytes;        /**< transmitted at least once */
	uint64_t zerocopy_sends;    /**< ids given */
	uint64_t ids_unproven;      /**< of these, not in a notification that was read; of a
				     * sender: batches without their last word */
	uint64_t untold_bytes;      /**< accepted, and the sender has not said so */
	uint64_t copied_sends;      /**< accepted without an id */
	uint32_t next_id;
	uint64_t records_held;      /**< notification records that still hold pages */
	uint64_t held_bytes;        /**< bytes of caller memory that they reference */
	uint64_t unproven_bytes;    /**< the same and those whose notification is unread */
	uint64_t messages_unread;   /**< in the error queue */
	uint64_t messages_read;
	uint64_t messages_cut;      /**< read with MSG_CTRUNC */
	unsigned disconnects;       /**< that succeeded */
	bool reset_sent;            /**< the peer was sent an RST */
	bool fin_sent;
	bool fin_acked;             /**< and the peer has acknowledged it */
	bool died;                  /**< by reset or timeout, from either side */
	bool closed;
	uint64_t closed_holding_bytes;  /**< held_bytes when it was closed: I9 if not 0 */
	uint64_t closed_unproven_bytes; /**< unproven_bytes when it was closed */
	uint64_t closed_unsent_bytes;   /**< accepted, not acknowledged when it was closed */
	uint64_t heard_ms;          /**< since the peer was last heard */
	uint64_t asked_heard_ms;    /**< the same, as the last TCP_INFO told */
	bool window_closed;         /**< the peer takes nothing more */
	uint64_t foreign_bytes;     /**< received bytes that nobody had sent */
	uint32_t user_timeout_ms;   /**< as set with TCP_USER_TIMEOUT */
	bool zerocopy_on;           /**< SO_ZEROCOPY was set */
};

/** What a kernel does that a library may get wrong; see fake_kernel_happened(). */
enum fake_event {
	FAKE_PARTIAL,       /**< a send was taken in part */
	FAKE_FULL,          /**< EAGAIN */
	FAKE_INTERRUPTED,   /**< EINTR */
	FAKE_LOCKED,        /**< ENOBUFS: locked memory */
	FAKE_OPTMEM,        /**< ENOBUFS: option memory */
	FAKE_CUT,           /**< EFAULT, at the first byte or later */
	FAKE_SHARED,        /**< a send joined the record of the one before */
	FAKE_EARLY,         /**< told before sendmsg returned */
	FAKE_COALESCED,     /**< a notification was extended */
	FAKE_WRAPPED,       /**< it went across 2^32, lo > hi */
	FAKE_TO_THE_WRAP,   /**< it ended with 2^32 - 1 */
	FAKE_COPIED,
	FAKE_OUT_OF_ORDER,  /**< a record was let go before an older one */
	FAKE_FOREIGN,       /**< a message that is no notification was read */
	FAKE_WINDOW_CLOSED, /**< a probe was sent */
	FAKE_RETRANSMITTED, /**< to a peer that has vanished */
	FAKE_TIMED_OUT,     /**< TCP_USER_TIMEOUT, or too many of either */
	FAKE_DIED_HOLDING,  /**< dead with pages in the queues */
	FAKE_HELD_ON,       /**< by a queueing discipline, after the death */
	FAKE_BUSY,          /**< a disconnect was refused */
	FAKE_ORPHAN,        /**< acknowledged after close */
	FAKE_EXCHANGED,     /**< it kept pages under whose addresses there are others */
	FAKE_SENT_OLD,      /**< and they reached the peer */
	FAKE_EVENTS,
};

/** Called before each call does its work; may use every function below. */
typedef void fake_hook(struct fake_socket *sock, enum fake_call call, void *arg);

/* The kernel: its clock, and what it found wrong. */

struct fake_kernel *fake_kernel_new(void);

/** Frees every socket with it, closed or not. */
void fake_kernel_free(struct fake_kernel *kernel);

/** Let time pass: retransmissions, probes, TCP_USER_TIMEOUT, late releases. */
void fake_kernel_advance_ms(struct fake_kernel *kernel, uint64_t ms);
uint64_t fake_kernel_now_ms(const struct fake_kernel *kernel);

/** Compare all referenced memory with what was sent; what changed is a violation. */
void fake_kernel_audit(struct fake_kernel *kernel);

/** How many violations, and the n-th as text; NULL beyond the end. */
unsigned fake_kernel_violations(const struct fake_kernel *kernel);
const char *fake_kernel_violation(const struct fake_kernel *kernel, unsigned n);

/** Bytes of this memory, as it is now, that any socket of the kernel still references. */
uint64_t fake_kernel_references(const struct fake_kernel *kernel, const void *memory,
				size_t len);

/** The same, and those let go of where no notification has been read yet. */
uint64_t fake_kernel_unproven(const struct fake_kernel *kernel, const void *memory,
			      size_t len);

/**
 * The program has other pages here from now on, with what is there: whatever is referenced of
 * the old ones, by any socket, stays what it is. @start and @bytes are those of whole pages.
 */
void fake_kernel_exchange(struct fake_kernel *kernel, const void *start, size_t bytes);

/** Calls made so far, and what they achieved: messages read, sends accepted. */
void fake_kernel_effort(const struct fake_kernel *kernel, uint64_t *calls, uint64_t *work);

/** How often, since the kernel was made; and the name of it. */
uint64_t fake_kernel_happened(const struct fake_kernel *kernel, enum fake_event event);
const char *fake_event_name(enum fake_event event);

/** Sockets that are not closed. */
unsigned fake_kernel_open_sockets(const struct fake_kernel *kernel);

/* A socket. */

/** The socket_ops of zcreq_stream_options; socket_arg is the struct fake_socket. */
extern const struct zcreq_socket_ops fake_socket_ops;

void fake_socket_knobs_init(struct fake_knobs *knobs);

/** @knobs may be NULL. The descriptor is the lowest that is free, as in Linux. */
struct fake_socket *fake_socket_new(struct fake_kernel *kernel, const struct fake_knobs *knobs);
int fake_socket_fd(const struct fake_socket *sock);
struct fake_knobs *fake_socket_knobs(struct fake_socket *sock);
void fake_socket_report(const struct fake_socket *sock, struct fake_socket_report *report);

/** What poll(2) would say now. */
short fake_socket_poll(const struct fake_socket *sock, short events);

/** All bytes that sendmsg took, and all that the peer has received so far. */
const uint8_t *fake_socket_accepted(const struct fake_socket *sock, size_t *len);
const uint8_t *fake_socket_received(const struct fake_socket *sock, size_t *len);

/**
 * Bytes of this part of the stream that were taken without copying and let go of
 * without having been acknowledged: a request with any of them did not succeed.
 */
uint64_t fake_socket_lost(const struct fake_socket *sock, uint64_t from, uint64_t to);

/** As fake_kernel_unproven(), for memory that only this socket was given. */
uint64_t fake_socket_unproven(const struct fake_socket *sock, const void *memory, size_t len);

/**
 * What this socket was lent of the memory is known by another address, as much of it, which
 * may be any that nothing else is lent at: the memory is the program's, to be lent again.
 */
void fake_socket_rename(struct fake_socket *sock, const void *memory, size_t len,
			const void *name);

/** Bytes of this memory in batches on which its sender has more to say; 0 without one. */
uint64_t fake_socket_lent(const struct fake_socket *sock, const void *memory, size_t len);

/** The same of the batch whose result is not told. */
uint64_t fake_socket_under_way(const struct fake_socket *sock, const void *memory, size_t len);

/** Does a record with any of this part of the stream still lack its proof? */
bool fake_socket_unproven_part(const struct fake_socket *sock, uint64_t from, uint64_t to);

void fake_socket_set_hook(struct fake_socket *sock, fake_hook *hook, void *arg);

/**
 * The @nth call from now (1 is the next) of this kind fails with @error (positive
 * errno), and so do the following, @times in all. Plans add up; 16 at a time.
 * A close that "fails" has closed, as in Linux.
 */
void fake_socket_fail(struct fake_socket *sock, enum fake_call call, unsigned nth,
		      unsigned times, int error);

/** Plans that are not used up. */
unsigned fake_socket_planned(const struct fake_socket *sock);

/** Reading this memory gives EFAULT; a send that meets it later on is cut there. */
void fake_socket_unreadable(struct fake_socket *sock, const void *memory, size_t len);

/** All of this can be read again: what was there is somebody else's now. */
void fake_socket_readable(struct fake_socket *sock, const void *memory, size_t len);

/* The peer. */

/**
 * The peer acknowledges up to @bytes of what was transmitted and reads them:
 * the window opens for more. Works on a closed socket too (the orphan).
 * Returns how many; 0 when the peer has vanished or the connection is dead.
 */
uint64_t fake_socket_ack(struct fake_socket *sock, uint64_t bytes);

/** The kernel copies what the first @bytes still unacknowledged reference, and says so. */
void fake_socket_copy_out(struct fake_socket *sock, uint64_t bytes);

/** What the peer's window allows beyond the acknowledged; 0: it has stopped reading. */
void fake_socket_window(struct fake_socket *sock, uint64_t bytes);

/** From now on nothing is heard of the peer; or it is back. */
void fake_socket_vanish(struct fake_socket *sock);
void fake_socket_return(struct fake_socket *sock);

/** Something was heard of the peer that acknowledges nothing new. */
void fake_socket_hear(struct fake_socket *sock);

/** SO_ERROR is @error from now on; the connection lives (a router's ICMP, with IP_RECVERR). */
void fake_socket_error(struct fake_socket *sock, int error);

/** The connection dies: SO_ERROR is @error (ECONNRESET: an RST came; EPIPE after a FIN). */
void fake_socket_kill(struct fake_socket *sock, int error);

/** The peer ends its direction; sends go on. */
void fake_socket_peer_fin(struct fake_socket *sock);

/** The peer sends bytes that nobody reads here: a close() is a reset from now on. */
void fake_socket_peer_says(struct fake_socket *sock, uint64_t bytes);

/* Pages that somebody else holds. */

/** A clone of the record with this id waits elsewhere; false if there is none. */
bool fake_socket_pin(struct fake_socket *sock, uint32_t id);
bool fake_socket_unpin(struct fake_socket *sock, uint32_t id);

/** The queueing discipline and the pins let go of up to @records, oldest first. */
unsigned fake_socket_let_go(struct fake_socket *sock, unsigned records);

/* Messages that nobody asked for. */

/** A notification with any range: bogus, wrapped, repeated. Proves nothing. */
void fake_socket_post(struct fake_socket *sock, uint32_t lo, uint32_t hi, bool copied);

/** SCM_TIMESTAMPING first, then origin 4 with errno 42; @payload bytes of it. */
void fake_socket_post_timestamp(struct fake_socket *sock, size_t payload);

/** Origin 2, host unreachable, with payload; sets SO_ERROR unless @so_error is 0. */
void fake_socket_post_icmp(struct fake_socket *sock, size_t payload, int so_error);

/** Any bytes at all as control data, up to 256. */
void fake_socket_post_raw(struct fake_socket *sock, const void *control, size_t len);

#endif

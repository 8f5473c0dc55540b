/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fake_internal.h - what the files of the fake kernel share
 *
 * fake_kernel.c    the kernel, its clock, reports and violations
 * fake_send.c      the send queue, records, the peer's acknowledgements
 * fake_death.c     death, late releases, retransmissions and probes
 * fake_errqueue.c  notifications and other messages, recvmsg
 * fake_pages.c     other pages under the same addresses
 * fake_calls.c     the table of calls, faults, options, poll
 * fake_sender.c    sends that are told later, in place of error queue and sendmsg
 */
#ifndef ZCREQ_FAKE_INTERNAL_H
#define ZCREQ_FAKE_INTERNAL_H

#include "sim/fake_kernel.h"
#include "sim/sim_random.h"

#define FAKE_MSS 1448
#define FAKE_RTO_MS 200
#define FAKE_RTO_MAX_MS 120000
#define FAKE_RETRIES 15
#define FAKE_NOTIFICATION_BYTES 832
#define FAKE_NOTIFICATION_LEAST 576 /* of which so much must be free */
#define FAKE_GATHER_BYTES (44 * FAKE_MSS) /* one packet before it is segmented */
#define FAKE_CARRIER_MS 500
#define FAKE_PLANS 16
#define FAKE_TEXTS 32

/* A run of caller memory, and where its bytes are in the stream. */
struct fake_range {
	const uint8_t *base; /* the bytes themselves */
	const uint8_t *lent; /* the address by which the program knows them: mostly the same */
	size_t len;
	uint64_t offset;
	bool moved;          /* its pages were exchanged: the bytes are the kernel's */
};

/*
 * What Linux calls a ubuf_info: one or more ids that are notified together when
 * nothing references the pages any more. On the socket's held list while it
 * does, then on the message that tells.
 */
struct fake_record {
	struct fake_record *next;
	struct fake_record *prev;
	uint32_t lo;
	uint32_t count;
	uint64_t begin;
	uint64_t end;
	struct fake_range *ranges;
	size_t range_count;
	size_t range_room;
	uint64_t bytes;    /* of all ranges */
	uint64_t pages;    /* of locked memory */
	struct fake_batch *batch; /* of a sender; NULL: the error queue tells */
	uint64_t until_ms; /* held by the queueing discipline; 0 if not */
	unsigned pins;
	bool queued;       /* in the write or retransmit queue */
	bool changed;      /* reported as a violation already */
};

enum fake_message_kind {
	FAKE_MESSAGE_NOTIFICATION,
	FAKE_MESSAGE_TIMESTAMP,
	FAKE_MESSAGE_ICMP,
	FAKE_MESSAGE_RAW,
};

struct fake_message {
	struct fake_message *next;
	enum fake_message_kind kind;
	uint32_t lo;
	uint32_t hi;
	bool copied;
	size_t payload;
	size_t raw_len;
	uint8_t raw[256];
	struct fake_record *records; /* what reading it proves */
};

struct fake_plan {
	unsigned nth; /* counts down to 1; 0 is a free slot */
	unsigned times;
	int error;
	enum fake_call call;
};

struct fake_span {
	const uint8_t *base;
	size_t len;
};

struct fake_socket {
	struct fake_socket *next;
	struct fake_kernel *kernel;
	struct fake_knobs knobs;
	struct sim_random random;
	int fd;

	uint64_t calls[FAKE_CALLS];
	struct fake_plan plans[FAKE_PLANS];
	struct fake_span unreadable[8];
	unsigned unreadable_count;
	struct fake_sender *sender; /* NULL: notifications go to the error queue */
	fake_hook *hook;
	void *hook_arg;

	/* The stream: what was accepted, and copies of all its bytes as they were then. */
	uint8_t *accepted;
	size_t accepted_room;
	uint64_t total;
	uint64_t sent_edge;
	uint64_t reached; /* what has come to a living peer */
	uint64_t acked;
	uint8_t *received;
	size_t received_room;
	uint64_t foreign_bytes;
	struct fake_range *lost; /* let go without an acknowledgement or a copy */
	size_t lost_count;
	size_t lost_room;
	uint32_t next_id;
	uint64_t zerocopy_sends;
	uint64_t ids_told; /* of these, in notifications that were read */
	uint64_t copied_sends;

	struct fake_record *held;
	struct fake_record *held_last;
	uint64_t held_count;
	uint64_t held_bytes;
	uint64_t told_bytes; /* let go of, and the notification is unread */
	struct fake_message *messages;
	struct fake_message *messages_tail;
	uint64_t messages_unread;
	uint64_t messages_read;
	uint64_t messages_cut;

	/* The connection. */
	int so_error;
	bool dead;
	bool closed;
	bool zerocopy_on;
	bool shut_send;
	bool fin_acked;      /* the peer has everything, and the end */
	bool peer_first;     /* the peer's end came before ours */
	uint64_t unread;     /* bytes of the peer's that nobody reads here */
	bool shut_receive;
	bool peer_fin;
	bool reset_sent;
	bool reset_on_close;
	bool reset_refused; /* and was told that it cannot ask for that */
	unsigned disconnects;
	uint32_t user_timeout_ms;
	uint64_t closed_holding_bytes;
	uint64_t closed_unproven_bytes;
	uint64_t closed_unsent_bytes;

	/* The peer, and the timers that ask for it. */
	bool vanished;
	uint64_t window;
	uint64_t last_ack_ms;
	uint64_t asked_heard_ms; /* what the last TCP_INFO told of it */
	uint64_t last_data_ms;
	uint64_t last_sent_ms;
	uint64_t stalled_ms; /* since when the timer runs */
	uint64_t timer_ms;   /* when it fires; 0 is off */
	uint64_t answer_ms;  /* when the answer to a probe arrives; 0: none is on its way */
	uint64_t answered_ms; /* when the peer sent its last one */
	unsigned backoff;
	unsigned retransmits;
	unsigned probes;
	uint64_t total_retrans;
};

struct fake_kernel {
	uint64_t now_ms;
	struct fake_socket *sockets;
	struct fake_old *old; /* pages that no program has any more */
	char texts[FAKE_TEXTS][192];
	unsigned violations;
	uint64_t happened[FAKE_EVENTS];
	uint64_t calls; /* of all sockets, ever */
	uint64_t locked; /* pages; of one user, as all sockets are */
	uint64_t work;  /* messages read and sends accepted, ever */
};

static inline void fake_happens(struct fake_socket *sock, enum fake_event event)
{
	sock->kernel->happened[event]++;
}

/* As Linux reckons it: the round trip, and at least 200 ms for its variance. */
static inline uint64_t fake_rto_ms(const struct fake_socket *sock)
{
	return FAKE_RTO_MS + sock->knobs.rtt_ms;
}

/* Has the stream ended here, so that the end is on its way to the peer? */
static inline bool fake_fin_flies(const struct fake_socket *sock)
{
	return sock->shut_send && !sock->fin_acked && sock->sent_edge == sock->total;
}

/* fake_kernel.c */
void *fake_grow(void *memory, size_t *room, size_t need, size_t each);
void fake_violation(struct fake_kernel *kernel, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* fake_send.c */
ssize_t fake_sendmsg(struct fake_socket *sock, const struct msghdr *message, int flags);
void fake_record_audit(struct fake_socket *sock, struct fake_record *record);
void fake_record_free(struct fake_record *record);
void fake_record_settle(struct fake_socket *sock, struct fake_record *record);
void fake_push(struct fake_socket *sock);

/* fake_pages.c */
void fake_old_free(struct fake_kernel *kernel);

/* fake_death.c */
void fake_die(struct fake_socket *sock);
void fake_late_releases(struct fake_socket *sock);
void fake_timer(struct fake_socket *sock);
void fake_answer(struct fake_socket *sock);

/* fake_sender.c */
void fake_sender_free(struct fake_sender *sender);
struct fake_batch *fake_sender_current(const struct fake_sender *sender);
void fake_sender_notify(struct fake_socket *sock, struct fake_record *record, bool copied);
void fake_sender_rename(struct fake_sender *sender, const uint8_t *memory, size_t len,
			const uint8_t *name);
uint64_t fake_sender_batches(const struct fake_sender *sender);
uint64_t fake_sender_untold_bytes(const struct fake_sender *sender);
uint64_t fake_sender_lent(const struct fake_sender *sender, const void *memory, size_t len,
			  bool under_way);

/* fake_errqueue.c */
ssize_t fake_recvmsg(struct fake_socket *sock, struct msghdr *message, int flags);
void fake_post_record(struct fake_socket *sock, struct fake_record *record, bool copied);
void fake_messages_purge(struct fake_socket *sock);

#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stub.h - a socket that does as it is told, for tests of one function at a time
 *
 * Not a model of Linux (tests/sim has one): it accepts, gives ids, and says on its
 * error queue what the test has put there. A disconnect proves all that is in
 * flight in one range, unless the stub is told to keep it.
 */
#ifndef ZCREQ_TESTS_STUB_H
#define ZCREQ_TESTS_STUB_H

#include <stdbool.h>
#include <stdint.h>

#include <zcreq/stream.h>

#define STUB_FD 1000
#define STUB_MESSAGES 1024

/* What the error queue says without end, when there is nothing else in it. */
enum stub_chatter {
	STUB_SILENT,
	STUB_FOREIGN,
	STUB_BOGUS,
};

struct tcp_info;

struct stub_message {
	uint32_t lo, hi;
	bool copied;
	bool foreign;
};

struct stub {
	/* sees what each call takes, before it is counted; may be NULL */
	void (*took)(struct stub *stub, const struct msghdr *message, uint64_t bytes,
		     bool zerocopy);
	uint64_t room_bytes;     /* that it takes before -EAGAIN; UINT64_MAX: no limit */
	uint64_t most_bytes;     /* of one call; 0: no limit */
	int send_error;          /* of every send, while not 0 */
	bool takes_nothing;      /* every send returns 0, which no kernel does */
	int zerocopy_error;      /* of every MSG_ZEROCOPY send, while not 0 */
	bool reading_helps;      /* a notification that is read ends zerocopy_error */
	int setsockopt_error;    /* of SO_ZEROCOPY */
	bool zerocopy_on;        /* what SO_ZEROCOPY says */
	bool no_such_option;     /* it cannot be asked for that */
	bool keeps;              /* disconnect proves nothing */
	int disconnect_error;
	unsigned interrupts;     /* disconnects that answer -EINTR first */
	int so_error;
	int getsockopt_error[4]; /* of the first four getsockopts */
	unsigned getsockopts;
	int user_timeout_error;  /* of TCP_USER_TIMEOUT */
	bool acks_late;          /* the end: not before stub_ack() */
	int shutdown_error;
	int recv_error;          /* of a reading of the empty error queue; 0: -EAGAIN */
	enum stub_chatter chatter;
	const struct tcp_info *info; /* what TCP_INFO says; NULL: established, no more */
	socklen_t info_bytes;    /* how much of it this kernel knows; 0: all */
	uint32_t next_id;
	uint32_t unproven;       /* the first id for which nothing was posted by disconnect */
	uint64_t zerocopy_bytes, copied_bytes;
	unsigned zerocopy_sends, copied_sends, refused_sends;
	uint8_t state;           /* tcpi_state; of what info says when it is NULL */
	struct linger linger;    /* as it was set last */
	unsigned recvs, disconnects, shutdowns, closes;
	unsigned looks;          /* at TCP_INFO */
	unsigned looks_alive;    /* after so many it says CLOSE; 0: never */
	unsigned reads_when_closed; /* calls of any kind after close */
	struct stub_message queue[STUB_MESSAGES]; /* a ring */
	unsigned head, tail;
};

extern const struct zcreq_socket_ops stub_ops;

/* Takes all, from id 0 on. */
void stub_init(struct stub *stub);

/* Options for a stream on it: mode always, nothing else set. */
struct zcreq_stream_options stub_options(struct stub *stub);

/* A stream on it; asserts that it opened. */
struct zcreq_conn *stub_open(struct stub *stub, struct zcreq_context *context,
			     const struct zcreq_conn_hooks *hooks, void *arg);

/* The error queue says that lo..hi are no longer referenced. */
void stub_notify(struct stub *stub, uint32_t lo, uint32_t hi, bool copied);

/* The error queue has a message that is no notification. */
void stub_foreign(struct stub *stub);

/* The peer has acknowledged the end of the stream. */
void stub_ack(struct stub *stub);

/* Everything that was accepted is proven, in one range. */
void stub_prove_all(struct stub *stub);

/* Queues @len bytes of @data for the request and hands them to the socket in a turn. */
void stub_send(struct zcreq_conn *conn, zcreq_id id, const void *data, size_t len);

#endif

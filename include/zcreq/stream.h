/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * stream.h - sends queued on a connected TCP socket
 *
 * Sends and writes leave in the order of the calls, many of them in one
 * sendmsg(2), with MSG_ZEROCOPY where a batch is large enough. The descriptor
 * belongs to the connection until it is closed; the caller reads from it, when the
 * readable hook says so or with a watcher of its own, which it stops in the abort or
 * closed hook.
 *
 * With any event loop: zcreq_turn() and zcreq_context_fd() in context.h, and nothing here.
 * A program that polls the sockets itself waits for zcreq_events(), hands what came to
 * zcreq_process(), and turns.
 */
#ifndef ZCREQ_STREAM_H
#define ZCREQ_STREAM_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <zcreq/conn.h>
#include <zcreq/context.h>
#include <zcreq/request.h>
#include <zcreq/sender.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct zcreq_memory_ops;

/**
 * struct zcreq_socket_ops - every system call that a stream makes on its descriptor
 *
 * NULL in the options is the kernel. A user-space TCP stack, or a test, puts its
 * own functions here. (A stream with a sender sends through that instead.) All return what
 * the call of that name returns, but a negative errno instead of -1; none may block.
 *
 * @sendmsg:     sendmsg(2); the flags are MSG_DONTWAIT, MSG_NOSIGNAL and perhaps
 *               MSG_ZEROCOPY. With the last, each call that accepts more than 0
 *               bytes uses up one 32-bit notification id, counting up.
 * @recvmsg:     recvmsg(2) with MSG_ERRQUEUE: proof, as IP_RECVERR messages of
 *               origin SO_EE_ORIGIN_ZEROCOPY. -EAGAIN when there is none.
 * @getsockopt:  SO_TYPE, SO_PROTOCOL, SO_ERROR, SO_ZEROCOPY, TCP_INFO. A drain believes
 *               tcpi_state, and in state CLOSE tcpi_bytes_acked, which counts the end as a
 *               byte.
 * @setsockopt:  SO_ZEROCOPY, TCP_USER_TIMEOUT, SO_LINGER. The user timeout is that of the
 *               options, and of 1 ms when @disconnect has failed.
 * @disconnect:  connect(2) to AF_UNSPEC: end the connection at once and let go of
 *               every page, saying so on the error queue. A transport that cannot
 *               returns an error; what is in flight then goes to quarantine.
 * @shutdown:    shutdown(2): SHUT_WR for the end of the stream, and SHUT_RDWR when
 *               @disconnect has failed, which wakes threads that sleep on the socket
 * @close:       close(2); the last call for this descriptor
 * @reserved:    must be NULL
 */
struct zcreq_socket_ops {
	ssize_t (*sendmsg)(int fd, const struct msghdr *message, int flags, void *arg);
	ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags, void *arg);
	int (*getsockopt)(int fd, int level, int name, void *value, socklen_t *len, void *arg);
	int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t len,
			  void *arg);
	int (*disconnect)(int fd, void *arg);
	int (*shutdown)(int fd, int how, void *arg);
	int (*close)(int fd, void *arg);
	void (*reserved[4])(void);
};

/** When a stream asks for MSG_ZEROCOPY. A transport that answers -EOPNOTSUPP to it (TLS in
 *  the kernel does) is copied to from then on, in every mode: statistics tell. */
enum zcreq_mode {
	ZCREQ_MODE_AUTO = 0, /**< for batches of threshold_bytes whose members are not too
				  small, while it pays: paused where the kernel copies
				  after all, or has no memory for it, and tried again now
				  and then */
	ZCREQ_MODE_ALWAYS,   /**< for every batch of threshold_bytes that the kernel will
				  take so */
	ZCREQ_MODE_NEVER,    /**< not at all */
};

/** The members at one send, and the bytes of one zcreq_write(), at most. */
#define ZCREQ_IOV_MAX 1024
#define ZCREQ_WRITE_MAX 65536

/** The most that batch_bytes, and each reserve, can be. */
#define ZCREQ_BATCH_MAX ((uint32_t)1 << 30)
#define ZCREQ_RESERVE_MAX ((uint32_t)1 << 24)

/**
 * For struct zcreq_stream_options: @first_id counts.
 *
 * Needed for a socket that has a past: SO_ZEROCOPY is on, and data were sent. The ids of
 * MSG_ZEROCOPY sends go on counting, and the kernel does not tell where they are: a
 * notification of a send that somebody else made would prove one of the library's. So
 * only who made those sends can say (0, if there were none: SO_ZEROCOPY is inherited from
 * a listener, and a greeting may have been a plain send). It does not matter whether their
 * notifications were read. Two things the kernel cannot show: sends by MSG_ZEROCOPY before
 * SO_ZEROCOPY was switched off again, and those before a disconnect and a new connect() on
 * the same socket. There, too, the flag is needed. io_uring's SEND_ZC uses up no ids.
 */
#define ZCREQ_STREAM_FIRST_ID 1u

/** For struct zcreq_stream_options: what the stream grew to while it was busy is not given
 *  back while it is idle. So it is with a reserve, too. */
#define ZCREQ_STREAM_KEEP_MEMORY 4u

/**
 * For struct zcreq_stream_options: the program makes the sends itself, with sendmsg(2) on
 * the descriptor, and reports each of them: zcreq_offer() and zcreq_sent() in sender.h.
 *
 * For a framework that has a queue of its own. zcreq_send(), zcreq_add() and zcreq_write()
 * answer -EOPNOTSUPP; all else is as on any stream.
 */
#define ZCREQ_STREAM_OWN_SENDS 2u

/** For struct zcreq_stream_options: zcreq_detach() will be possible. The stream keeps note of
 *  the memory that its sends have lent, which takes 24 bytes for each member of a send. */
#define ZCREQ_STREAM_DETACH 8u

/**
 * struct zcreq_stream_options - how a stream is set up
 * @size:            sizeof(struct zcreq_stream_options)
 * @flags:           of ZCREQ_STREAM_FIRST_ID, ZCREQ_STREAM_OWN_SENDS,
 *                   ZCREQ_STREAM_KEEP_MEMORY and ZCREQ_STREAM_DETACH, or 0
 * @fd:              a connected TCP socket, IPv4 or IPv6, on which nobody else
 *                   sends; made non-blocking or not, the stream never waits
 * @hooks:           borrowed until zcreq_conn_free(); may be NULL
 * @arg:             handed to every hook
 * @socket_ops:      borrowed until closed; NULL is the kernel
 * @socket_arg:      handed to every one of them
 * @mode:            enum zcreq_mode
 * @threshold_bytes: the smallest batch that goes without copying, in modes auto and
 *                   always; 0 is 65536 in mode auto, and none in mode always: every
 *                   batch goes so. In mode auto the members of a batch must have an
 *                   eighth of it on average as well. The default is for memory in pages
 *                   of 4 KiB; 16384 is right where it lies in huge pages
 * @batch_bytes:     how much one sendmsg(2), or one submission of a sender, takes at
 *                   once, so far as it is queued: a member of a send that reaches it is
 *                   the last of its batch, and goes whole. A buffer is released with the
 *                   last of its batch. At most ZCREQ_BATCH_MAX; 0 is 262144.
 * @limit_bytes:     what may be queued and in flight before sends and writes are
 *                   refused with -EAGAIN, by the rule of zcreq_room(); 0 is no
 *                   limit. One send always fits when there is nothing else, so none
 *                   is refused for ever.
 * @stall_ms:        the watchdog: aborts with -ETIMEDOUT when the peer has vanished:
 *                   it owes the acknowledgement of any byte, copied ones included,
 *                   was not heard for this long, and has had the time to answer that
 *                   its path needs. 0 is no watchdog. Less than some 500 makes little
 *                   difference: TCP itself sends again after 200 ms or more.
 * @not_reading_ms:  abort with -ETIME a peer that answers but has not read for
 *                   this long, found up to stall_ms later; 0 is never. Needs
 *                   stall_ms. A peer reads as far as its TCP says so, by an
 *                   acknowledgement or a larger window: one that takes less than a
 *                   packet of its receive buffer says nothing.
 * @user_timeout_ms: TCP_USER_TIMEOUT, the kernel's own coarser watchdog, which
 *                   does not tell these two apart; 0 leaves it alone
 * @linger_ms:       after abort, how long to wait for proof before quarantine;
 *                   0 is 5000
 * @detach_ms:       so long after an abort what the kernel has not let go is detached, once,
 *                   as by zcreq_conn_detach() with no flags; if that is refused, quarantine
 *                   comes as ever. Less than linger_ms; 0 is never. Includes
 *                   ZCREQ_STREAM_DETACH. Not together with ZCREQ_STREAM_OWN_SENDS, whose
 *                   memory the library does not know
 * @first_id:        the id that the socket's next MSG_ZEROCOPY send (with a sender,
 *                   the next submission) will have, if ZCREQ_STREAM_FIRST_ID is in
 *                   @flags; else it must be 0, and that id is 0
 * @idle_ms:         abort with -ETIMEDOUT a connection on which nothing is outstanding,
 *                   no request is open, and of whose peer nothing was heard (no data,
 *                   no ACK) for this long; 0 is never. Found later, by as much at most,
 *                   if a request ended meanwhile. Needs stall_ms. SO_KEEPALIVE, with a
 *                   shorter interval, lets a peer that is alive be heard.
 * @reserve_sends:   memory that is there from the start and is kept: for so many sends
 *                   and writes, counted from the oldest that is not gone,
 * @reserve_iovs:    for so many members of them of which a byte is not sent yet,
 * @reserve_batches: for so many calls of sendmsg(2), or submissions, counted from the
 *                   oldest that waits for proof (a full socket takes a send in parts);
 *                   without a place for it a batch is copied, or put off with a sender,
 * @reserve_writes:  for so many writes, of at most 4000 bytes each,
 * @reserve_messages: and for so many messages that wait for the message hook. Each is
 *                   ZCREQ_RESERVE_MAX at most, messages 64; 0 is none. Up to these counts,
 *                   and reserve_requests and reserve_holds of the context, nothing is
 *                   allocated from the first request on, and nothing answers -ENOMEM.
 *                   (With ZCREQ_STREAM_DETACH reserve_iovs counts members without proof;
 *                   with ZCREQ_STREAM_OWN_SENDS nothing is reserved for them.)
 * @sender:          how batches are sent instead of with sendmsg(2): see sender.h;
 *                   borrowed until closed; NULL is with sendmsg(2). Not together
 *                   with ZCREQ_STREAM_OWN_SENDS
 * @sender_arg:      handed to every one of its functions
 * @memory_ops:      who exchanges pages: see memory.h; borrowed until closed; NULL is the
 *                   library
 * @memory_arg:      handed to it
 */
struct zcreq_stream_options {
	size_t size;
	uint32_t flags;
	int fd;
	const struct zcreq_conn_hooks *hooks;
	void *arg;
	const struct zcreq_socket_ops *socket_ops;
	void *socket_arg;
	enum zcreq_mode mode;
	uint32_t threshold_bytes;
	uint32_t batch_bytes;
	uint64_t limit_bytes;
	uint32_t stall_ms;
	uint32_t not_reading_ms;
	uint32_t user_timeout_ms;
	uint32_t linger_ms;
	uint32_t detach_ms;
	uint32_t first_id;
	uint32_t idle_ms;
	uint32_t reserve_sends;
	uint32_t reserve_iovs;
	uint32_t reserve_batches;
	uint32_t reserve_writes;
	uint32_t reserve_messages;
	const struct zcreq_sender_ops *sender;
	void *sender_arg;
	const struct zcreq_memory_ops *memory_ops;
	void *memory_arg;
};

/**
 * zcreq_stream_open() - give a connected socket to the library
 * @context:  the context
 * @options:  required: it names the descriptor
 * @conn:     written on success
 *
 * Ownership: on success the descriptor is the connection's, which closes it; on
 *            failure it is still the caller's.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL           a NULL, an unknown mode or flag, first_id without its
 *                              flag, not_reading_ms or idle_ms without stall_ms, a
 *                              sender or detaching with ZCREQ_STREAM_OWN_SENDS, a
 *                              detach_ms of linger_ms or more, a batch_bytes or
 *                              reserve above its most, something reserved in a table of
 *                              functions, or an options size that no version had;
 *            -E2BIG            options of a newer library;
 *            -EBADF            the descriptor is not open;
 *            -ENOTSOCK         it is no socket;
 *            -EPROTOTYPE       it is no stream socket;
 *            -EPROTONOSUPPORT  it is a stream, but not TCP (AF_UNIX and MPTCP
 *                              give no notifications);
 *            -ENOTCONN         it is not connected, or not yet (with TCP Fast Open a
 *                              socket may be accepted before its handshake is over,
 *                              and connect(2) defer it), or no longer;
 *            -EEXIST           the descriptor is that of a stream of this context;
 *            -EBUSY            the socket has a past: see ZCREQ_STREAM_FIRST_ID. Not
 *                              in mode never and not with a sender, which use no ids
 *                              of the socket: notifications of that past are counted
 *                              (bogus_ranges), and nothing more;
 *            -EOPNOTSUPP       mode is always and the socket refuses SO_ZEROCOPY
 *                              (in mode auto the stream then copies);
 *            -ENOMEM; and what setsockopt(2) gives.
 * Source:    Documentation/networking/msg_zerocopy.rst
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_stream_open(struct zcreq_context *context, const struct zcreq_stream_options *options,
		      struct zcreq_conn **conn);

/**
 * zcreq_send() - one whole request: begun, its only send queued, finished
 * @conn:    open
 * @hooks:   borrowed until released
 * @arg:     handed to every callback
 * @iov:     copied by the call; the memory behind it is borrowed until released
 * @iovcnt:  1 to ZCREQ_IOV_MAX
 * @flags:   must be 0
 * @id:      written on success; may be NULL
 *
 * All or nothing: on an error there is no request, nothing is borrowed, and nobody is
 * called. Only queues, as zcreq_add() does. The owner has nothing left to do but to wait
 * for released; aborting is never called for it.
 *
 * Ownership: on 0 the memory behind @iov must stay as it is until released.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL     a NULL, hooks without released or with something reserved,
 *                        iovcnt 0 or negative, a total of 0 bytes, an unknown flag, or
 *                        a conn without a socket;
 *            -EOPNOTSUPP the program makes its own sends (ZCREQ_STREAM_OWN_SENDS);
 *            -EMSGSIZE   iovcnt is above ZCREQ_IOV_MAX;
 *            -EOVERFLOW  the lengths add up to more than SSIZE_MAX;
 *            -ESHUTDOWN  the stream was ended, or the connection is draining,
 *                        aborting or closed;
 *            -EAGAIN     more than zcreq_room(): the room hook will tell;
 *            -ENOMEM;
 *            -EMFILE     the context's max_requests are in flight.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_send(struct zcreq_conn *conn, const struct zcreq_request_hooks *hooks, void *arg,
	       const struct iovec *iov, int iovcnt, unsigned flags, zcreq_id *id);

/**
 * zcreq_add() - queue some of an open request's memory to be sent
 * @context: the request's context
 * @id:      begun on a connection with a socket, and not finished
 * @iov:     copied by the call; the memory behind it is borrowed until released
 * @iovcnt:  1 to ZCREQ_IOV_MAX
 * @flags:   must be 0
 *
 * Only queues; the next zcreq_turn() sends. The whole send is
 * one run of bytes in the stream. A request may make any number of sends, and is
 * released when the last of them is acknowledged or copied. A send that was refused is
 * no part of it: a request that is finished with status 0 without it ends with 0.
 *
 * Ownership: the memory behind @iov must stay as it is until the request's
 *            released callback. On an error nothing is borrowed by this call.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL     a NULL, iovcnt 0 or negative, a total of 0 bytes, an
 *                        unknown flag, or a request of a conn without a socket;
 *            -EOPNOTSUPP the program makes its own sends (ZCREQ_STREAM_OWN_SENDS);
 *            -EMSGSIZE   iovcnt is above ZCREQ_IOV_MAX;
 *            -EOVERFLOW  the lengths add up to more than SSIZE_MAX;
 *            -ESTALE     finished already, released, forged, or of another context;
 *            -ECANCELED  the request is aborting;
 *            -ESHUTDOWN  the stream was ended;
 *            -EAGAIN     more than zcreq_room(): the room hook will tell;
 *            -ENOMEM.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_add(struct zcreq_context *context, zcreq_id id, const struct iovec *iov, int iovcnt,
	      unsigned flags);

/**
 * zcreq_write() - queue a few bytes that no request owns
 * @conn:  open or draining
 * @data:  copied by the call
 * @len:   1 to ZCREQ_WRITE_MAX bytes
 *
 * For small protocol messages (a reply without data, a keep-alive) that keep
 * their place among the sends. Nobody is told when they are sent. When a write
 * is a header that belongs to a send, prefer an iovec of that send.
 *
 * Ownership: the caller's memory is free again on return.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL     a NULL, 0 bytes, or a conn without a socket;
 *            -EOPNOTSUPP the program makes its own sends (ZCREQ_STREAM_OWN_SENDS);
 *            -EMSGSIZE   more than ZCREQ_WRITE_MAX;
 *            -ESHUTDOWN  the stream was ended, or the connection is aborting or closed;
 *            -EAGAIN     more than zcreq_room(): the room hook will tell;
 *            -ENOMEM.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_write(struct zcreq_conn *conn, const void *data, size_t len);

/**
 * zcreq_room() - how many bytes would be taken now
 * @conn:  any state
 *
 * The rule of limit_bytes, for zcreq_send(), zcreq_add() and zcreq_write() alike: what has
 * at most so many bytes is taken, what has more is refused with -EAGAIN. These are
 * limit_bytes less what is held: queued, or accepted and still waiting for proof. Any
 * number (UINT64_MAX) without a limit, and while nothing is held, also if it is more than
 * the limit. None after the end of the stream, on a connection that is aborting or closed,
 * and without a socket.
 *
 * The room hook is called once after a refusal, and once after this has said less than
 * UINT64_MAX: as soon as no more than half of limit_bytes is held, all that was refused
 * since the hook was called last would be taken, each of it by itself, and there is more
 * room than this has said. So a program may wait for it after either. As every hook, it
 * may find that an earlier callback has used up the room.
 *
 * Callback:  none; the room hook may become due, later.
 * Thread:    the context's.
 * Since:     0.1
 *
 * Return: the number of bytes; 0 for NULL.
 */
uint64_t zcreq_room(struct zcreq_conn *conn);

/**
 * zcreq_process() - something happened on the descriptor
 * @conn:     any state
 * @revents:  poll(2) bits; those not of interest here are ignored
 *
 * For programs that poll the sockets themselves. POLLERR reads the error queue, up
 * to a message for each batch in flight and 1024 more; POLLOUT sends; POLLIN makes the
 * readable hook due; POLLHUP, or an error of the socket, aborts the connection with that
 * error (-EPIPE if there is none). What that makes due, the next zcreq_turn() does. As
 * nothing is called here, and no connection goes, a program may hand in all that poll(2)
 * has told it, and turn once.
 *
 * After the end of the stream POLLHUP says only that the peer has ended its own as well.
 * An error aborts an open connection then too, also if all was acknowledged before; a drain
 * to which that has happened ends with 0. The kernel tells an error once: if the program's
 * recv(2) has taken it after all was acknowledged, only that recv(2) tells.
 *
 * What the end of a connection gives back is not reported as success: before
 * notifications are believed the socket is asked once whether it is still alive.
 *
 * A send that fails because its memory is not readable (-EFAULT) has torn the
 * stream and aborts the connection as well.
 *
 * Ownership: unchanged.
 * Callback:  none; some become due.
 * Thread:    the context's.
 * Errors:    -EINVAL  conn is NULL, or it has no socket.
 * Source:    poll(2), Documentation/networking/msg_zerocopy.rst
 * Since:     0.1
 */
int zcreq_process(struct zcreq_conn *conn, short revents);

/**
 * zcreq_events() - what to wait for on the descriptor
 * @conn:  any state
 *
 * For programs that poll the sockets themselves; to be asked after zcreq_turn(), which
 * sends what it can first. With a sender POLLOUT is asked for only while nothing is under
 * way, so a program needs to know nothing of it.
 *
 * POLLERR always, although poll(2) reports it unasked: it says that errors are to
 * be processed. POLLOUT while something waits to be sent; of a program that makes its own
 * sends, while the last was refused for want of room. POLLIN while there is a
 * readable hook and zcreq_stream_reading() has not switched it off. 0 says: do not poll
 * this descriptor now, not even for errors; after an abort the kernel reports
 * POLLHUP without end, and zcreq_turn() does what is left. So it does when both sides have
 * ended their streams; that is polled for no longer than the program reads.
 *
 * Thread:    the context's.
 * Source:    tcp_poll() in net/ipv4/tcp.c
 * Since:     0.1
 *
 * Return: poll(2) bits; 0 for NULL and for a conn without a socket.
 */
short zcreq_events(const struct zcreq_conn *conn);

/**
 * zcreq_stream_reading() - whether the readable hook is wanted
 * @conn:  any state
 * @on:    as it is when the stream is opened, or not
 *
 * Off for a program that cannot take more at the moment, or has read the end of the
 * stream: what waits in the socket then wakes nobody. It counts when the hook would be
 * called: off from now on, also if POLLIN has been handed in before.
 *
 * Ownership: unchanged.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  conn is NULL, or it has no socket.
 * Source:    none.
 * Since:     0.1
 */
int zcreq_stream_reading(struct zcreq_conn *conn, bool on);

/**
 * zcreq_stream_fd() - the descriptor of a stream
 * @conn:  any state
 *
 * Ownership: stays the connection's: do not close it, and do not send on it unless it was
 *            opened with ZCREQ_STREAM_OWN_SENDS. Reading is the caller's business.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  conn is NULL, or it has no socket;
 *            -EBADF   it is closed.
 * Source:    none.
 * Since:     0.1
 *
 * Return: the descriptor, or an error.
 */
int zcreq_stream_fd(const struct zcreq_conn *conn);

/**
 * zcreq_now_ns() - CLOCK_MONOTONIC, for callers that have no clock at hand
 *
 * A convenience for zcreq_turn(); libzcreq itself never calls it, libzcreq-ev does.
 *
 * Ownership: none.
 * Callback:  none.
 * Thread:    any.
 * Errors:    none.
 * Source:    clock_gettime(2)
 * Since:     0.1
 *
 * Return: nanoseconds.
 */
uint64_t zcreq_now_ns(void);

/**
 * zcreq_socket_disconnect() - end a connection of the program's own, and get its pages back
 * @fd:  a TCP socket that no stream has
 *
 * For programs that make their own zero-copy sends. connect(2) to AF_UNSPEC: the peer gets
 * a reset, the kernel drops what it has not sent, and the notifications of everything that
 * TCP still had are on the error queue when the call returns. What is in a queue below TCP
 * (a queueing discipline, a driver) comes later: the memory is free with its notification,
 * not with this call. Close the descriptor when the last one was read: closing gives up
 * the proof, while the kernel goes on sending.
 *
 * Ownership: the descriptor stays open, and the caller's.
 * Callback:  none.
 * Thread:    any.
 * Errors:    -EBADF     it is not open;
 *            -ENOTSOCK  it is no socket;
 *            -EBUSY     another thread sleeps in a call on the socket (some kernels):
 *                       shutdown(2) wakes it, then call again; and what connect(2) gives.
 * Source:    tcp_disconnect() in net/ipv4/tcp.c; doc/kernel.md
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_socket_disconnect(int fd);

/**
 * zcreq_socket_verdict() - what the watchdog would say of a socket of the program's own
 * @fd:        a TCP socket that has a peer, of a stream or not
 * @stall_ms:  the stall limit; 1 or more
 *
 * One system call, and no memory: what moved since the last call is not known. So a peer
 * whose window is closed is not reading here, also if it has read just before; ask again.
 *
 * Ask again in a while; after a pause of the whole machine twice.
 *
 * Ownership: none.
 * Callback:  none.
 * Thread:    any.
 * Errors:    -EINVAL       stall_ms is 0;
 *            -EBADF        it is not open;
 *            -ENOTSOCK     it is no socket;
 *            -EOPNOTSUPP   it is not TCP;
 *            -ENOPROTOOPT  it is not TCP;
 *            -ENOTCONN     it is not connected, or no longer.
 * Source:    lib/stream/watchdog.c, doc/decisions.md
 * Since:     0.1
 *
 * Return: 0 if nothing is wrong, all is acknowledged, or the peer was heard within @stall_ms
 * and can take more. Else an enum zcreq_stall: vanished (zcreq_socket_disconnect() gets the
 * memory back), not reading, or congested: quiet for @stall_ms, but the peer has not had the
 * time yet that its path needs. Or an error.
 */
ZCREQ_MUST_CHECK
int zcreq_socket_verdict(int fd, uint32_t stall_ms);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * request.h - one unit of the caller's work, and what still uses its buffers
 *
 * A request begins, is given sends and holds, and is finished by its owner; when
 * the last of them is gone, with proof, it is released: the buffers are the
 * caller's again. Outcome (is the status known?) and release (may I touch the
 * memory?) are two events, and on a dying connection they are far apart.
 *
 *             begin            finish                   last hold gone
 *    (free) --------> OPEN ---------------> FINISHED -----------------> DONE
 *                       |  abort               |  abort                   ^
 *                       v                      v                          |
 *                    ABORTING -- finish --> ABORTED_FINISHED -------------'
 *                                              |         ^
 *                                     deadline |         | late proof of all sends
 *                                              v         |
 *                                             QUARANTINED
 *
 * Handles are values, not pointers. Each is good for one life: used after its
 * end, twice, in another context, or made up, it gives -ESTALE and is counted in
 * zcreq_stats.stale_handles. A handle that is all zero bits is never valid.
 */
#ifndef ZCREQ_REQUEST_H
#define ZCREQ_REQUEST_H

#include <zcreq/context.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct zcreq_conn;

/** A request: generation and slot. */
typedef struct { uint64_t bits; } zcreq_id;

/** One single-use claim on a request's buffers. */
typedef struct { uint64_t bits; } zcreq_hold;

/**
 * struct zcreq_request_hooks - what the owner of a request hears
 * @released:     required. Exactly once, last: nothing holds the buffers any more
 *                and @id is no longer valid. On a connection that was not
 *                aborted, status 0 means that every byte was acknowledged by the
 *                peer or taken as a copy by the kernel.
 * @settled:      the status is known; the buffers may still be in use. Exactly
 *                once: an error as soon as it is known, success just before
 *                released.
 * @aborting:     the owner has not finished yet and the connection (or the
 *                request) was aborted: cancel the backend's work, then call
 *                zcreq_finish(). Until then the request waits.
 * @quarantined:  the kernel has not proven in time that it let go. Do not
 *                recycle the buffers. released still comes if the proof does.
 * @reserved:     must be NULL
 *
 * The struct is borrowed until released; it is usually const and static. All are
 * called from zcreq_turn() only and may call anything.
 */
struct zcreq_request_hooks {
	void (*released)(zcreq_id id, int status, void *arg);
	void (*settled)(zcreq_id id, int status, void *arg);
	void (*aborting)(zcreq_id id, int status, void *arg);
	void (*quarantined)(zcreq_id id, void *arg);
	void (*reserved[2])(void);
};

/** The states of the picture above, for zcreq_request_state(). */
enum zcreq_state {
	ZCREQ_STATE_FREE = 1,
	ZCREQ_STATE_OPEN,
	ZCREQ_STATE_FINISHED,
	ZCREQ_STATE_ABORTING,
	ZCREQ_STATE_ABORTED_FINISHED,
	ZCREQ_STATE_QUARANTINED,
	ZCREQ_STATE_DONE,
};

/**
 * zcreq_begin() - a request begins, to be given sends and holds one after the other
 * @conn:   the connection that it will use; must be open
 * @hooks:  borrowed until released
 * @arg:    handed to every callback
 * @flags:  must be 0
 * @id:     written on success
 *
 * A request that is one send is one call: zcreq_send() in stream.h.
 *
 * Ownership: the library now owes the caller exactly one released callback, or
 *            quarantined for as long as there is no proof.
 * Callback:  none from inside this call.
 * Thread:    the context's.
 * Errors:    -EINVAL     a NULL, hooks without released or with something reserved, or
 *                        an unknown flag;
 *            -ESHUTDOWN  the connection is draining, aborting or closed;
 *            -ENOMEM     no memory for a new table page;
 *            -EMFILE     the context's max_requests are in flight.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_begin(struct zcreq_conn *conn, const struct zcreq_request_hooks *hooks, void *arg,
		unsigned flags, zcreq_id *id);

/**
 * zcreq_finish() - the owner adds nothing more
 * @context:  the request's context
 * @id:       the request
 * @status:   0, or the owner's own error as a negative errno
 *
 * Ends the owner's part, also after aborting. The request is released when its
 * last send and its last hold are gone, which may be at once. The first error
 * that a request meets is the one it reports; an error here does not withdraw
 * what is queued.
 *
 * Ownership: the buffers stay borrowed until released.
 * Callback:  settled and released become due as told in struct zcreq_request_hooks.
 * Thread:    the context's.
 * Errors:    -EINVAL  context is NULL or status is positive;
 *            -ESTALE  finished already, released, forged, or of another context.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_finish(struct zcreq_context *context, zcreq_id id, int status);

/**
 * zcreq_take() - something of the caller's will use the buffers
 * @context:  the request's context
 * @id:       the request; must be open
 * @hold:     written on success
 *
 * For sends that the library does not make itself: take a hold before a
 * framework's asynchronous write, drop it in the write's callback. A request is
 * not released while a hold is out, whatever happens to the connection, and a
 * hold of the caller's is never quarantined: only the caller can know.
 *
 * It frees nothing by itself: the library waits, and the program has to make the kernel let
 * go of a peer that is gone, and to prove it. A program that calls sendmsg(2) on its own
 * socket better leaves that to the library: zcreq_offer() in sender.h.
 *
 * Ownership: the hold is the caller's to drop, exactly once.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL     a NULL;
 *            -ESTALE     finished already, released, forged, or of another context;
 *            -ECANCELED  the request is aborting: start nothing new for it;
 *            -ENOMEM     no memory for a new table page;
 *            -EMFILE     ZCREQ_MAX_REQUESTS holds are out.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_take(struct zcreq_context *context, zcreq_id id, zcreq_hold *hold);

/**
 * zcreq_drop() - the caller's use of the buffers has ended
 * @context:  the hold's context
 * @hold:     used up by this call
 * @status:   0, or how the use failed, as a negative errno; the request then
 *            settles with it unless it met another error before
 *
 * Legal in every state of the request and of its connection.
 *
 * Ownership: the hold is gone. It is the caller's word that nothing reads the
 *            buffers on its account any more.
 * Callback:  settled and released may become due.
 * Thread:    the context's.
 * Errors:    -EINVAL  context is NULL or status is positive;
 *            -ESTALE  dropped already, forged, or of another context.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_drop(struct zcreq_context *context, zcreq_hold hold, int status);

/**
 * zcreq_abort() - withdraw one request, if none of it is on its way
 * @context:  the request's context
 * @id:       the request
 * @status:   a negative errno, the request's outcome
 *
 * A byte stream cannot be taken back: once the kernel has accepted a byte of the
 * request, the rest has to follow or the connection has to end. So this drops
 * what is queued if all of it is, and else changes nothing and says so; then
 * wait, or use zcreq_conn_abort().
 *
 * Ownership: the buffers stay borrowed until released.
 * Callback:  settled, then aborting if the owner has not finished, become due.
 * Thread:    the context's.
 * Errors:    -EINVAL    context is NULL, or status is not negative;
 *            -ESTALE    released, forged, or of another context;
 *            -EALREADY  aborted already;
 *            -EBUSY     part of it was accepted by the kernel; nothing changed.
 * Source:    none.
 * Since:     0.1
 */
ZCREQ_MUST_CHECK
int zcreq_abort(struct zcreq_context *context, zcreq_id id, int status);

/**
 * zcreq_request_state() - where a request is
 * @context:  the request's context
 * @id:       the request
 *
 * Ownership: none.
 * Callback:  none.
 * Thread:    the context's.
 * Errors:    -EINVAL  context is NULL;
 *            -ESTALE  released, forged, or of another context. Unlike elsewhere
 *            this is not counted as a stale use: asking is allowed.
 * Source:    none.
 * Since:     0.1
 *
 * Return: one of enum zcreq_state, or an error.
 */
int zcreq_request_state(const struct zcreq_context *context, zcreq_id id);

/**
 * zcreq_request_conn() - the connection of a request
 * @context:  the request's context
 * @id:       the request
 *
 * In every callback of the request too; in released until the callback begins another
 * request, though the handle is no longer good for anything else.
 *
 * Thread:    the context's.
 * Since:     0.1
 *
 * Return: the connection. NULL for a context that is NULL, for a handle that is stale (not
 * counted, as asking is allowed), and after zcreq_conn_free() of the connection, which the
 * request may outlive.
 */
struct zcreq_conn *zcreq_request_conn(const struct zcreq_context *context, zcreq_id id);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif

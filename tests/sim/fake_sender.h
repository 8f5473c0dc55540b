/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * fake_sender.h - a fake socket's asynchronous way to send, as io_uring's SEND_ZC is
 *
 * What happens to the bytes is the fake socket's business and told by its knobs; what
 * is here is when that is said, and in which words: results from inside submit() or
 * later, a full socket waited for or refused, notifications in any order, one for each
 * batch. A notification follows a result if and only if the result said so.
 *
 * It judges as well. From submit() until the last word on it all memory of a batch
 * counts as in use, whatever was taken of it. What sender.h promises to a sender and
 * is not kept becomes a violation of the kernel's.
 */
#ifndef ZCREQ_FAKE_SENDER_H
#define ZCREQ_FAKE_SENDER_H

#include "sim/fake_kernel.h"

struct fake_sender;

/**
 * struct fake_sender_knobs - how a fake sender speaks; may be changed at any time
 * @inside_of:   one in so many results is told from inside submit(), or returned by it
 *               when nothing was taken; 0: none
 * @waits:       a full socket is waited for; else the result is -EAGAIN
 * @error_of:    one in so many errors of a batch by reference says more; 0: none
 * @batches_most: without a last word, before others by reference are refused as by a
 *               limit on memory; 0: no limit
 * @shuffles:    notifications come in any order
 * @lies:        with them come some for what nobody awaits
 * @mute:        nothing is told, whatever happens
 * @puts_off:    submit() only notes: the socket is called when the sender has its turn
 * @no_reap:     results and proof come unasked only
 * @pins:        it has all memory registered, and keeps the pages for good
 * @no_cancel:   the end of the socket has to do
 * @seed:        of its choices; read when it is made
 */
struct fake_sender_knobs {
	unsigned inside_of;
	bool waits;
	unsigned error_of;
	unsigned batches_most;
	bool shuffles;
	bool lies;
	bool mute;
	bool puts_off;
	bool no_reap;
	bool no_cancel;
	bool pins;
	uint64_t seed;
};

/** All that was taken from a socket goes through it from now on; freed with the socket. */
struct fake_sender *fake_sender_new(struct fake_socket *sock, const struct fake_sender_knobs *knobs);
struct fake_sender_knobs *fake_sender_knobs(struct fake_sender *sender);

/** The sender and sender_arg of zcreq_stream_options. */
void fake_sender_options(struct fake_sender *sender, struct zcreq_stream_options *options);

/** Is a batch under way, the result of which is not told? */
bool fake_sender_busy(const struct fake_sender *sender);

/** Tells the results that are there; false if there was none. */
bool fake_sender_results(struct fake_sender *sender);

/** Tells all that is there to tell; false if there was nothing. */
bool fake_sender_process(struct fake_sender *sender);

#endif

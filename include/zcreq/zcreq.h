/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * zcreq.h - the whole library in one include
 *
 * zcreq answers one question for a program that sends without copying: when may
 * I touch this memory again? It answers per request, exactly once, and also when
 * the peer has vanished.
 *
 * Read from the bottom up: context.h (one thread's tables and its clock),
 * request.h (a unit of work and what holds its buffers), threads.h (what
 * other threads may do), conn.h (the requests of one connection), stream.h (a TCP socket
 * and everything queued on it), sender.h (what to put in place of sendmsg), memory.h
 * (buffers, and how to have them back whatever the kernel does); and, to
 * look inside, explain.h (why is this stuck?), trace.h (what happened?) and page.h (how is
 * it doing, for others to see). Not in here, because each has a library of its own: ev.h,
 * guard.h, uring.h. C++17 has zcreq.hpp.
 */
#ifndef ZCREQ_H
#define ZCREQ_H

#include <zcreq/conn.h>
#include <zcreq/context.h>
#include <zcreq/explain.h>
#include <zcreq/memory.h>
#include <zcreq/page.h>
#include <zcreq/threads.h>
#include <zcreq/request.h>
#include <zcreq/sender.h>
#include <zcreq/stream.h>
#include <zcreq/trace.h>
#include <zcreq/version.h>

#endif

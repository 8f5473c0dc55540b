/* SPDX-License-Identifier: BSD-2-Clause */
/**
 * zcreq.hpp - contexts and connections as objects, and a callable for the end of a request
 *
 * C++17 or later, header only, and thin: get() gives what the functions of zcreq.h take, and
 * what those promise holds here too. Objects can be moved, and not copied.
 *
 * - What opens throws std::system_error. Everything else returns 0 or a negative errno.
 * - A completion is called once, by turn() or close(), with the status of its request. It is
 *   moved away only when the request is accepted: after an error (-EAGAIN, say) it is as it
 *   was. So it may own the buffer that is sent, and with it the buffer goes; not in its own
 *   bytes, as an array or a short string does, which are not where they were once it is moved.
 * - No exception passes through the library, whose frames are C: one that leaves a
 *   completion, or a member function called by a hook, ends the program (std::terminate()).
 * - A connection ends with zcreq_conn_free(): what is on its way is aborted, and its
 *   completions are still called, with -ECANCELED.
 * - A context that ends calls nobody, since what its callbacks refer to may be gone by then.
 *   If anything is left in it, it stays in memory with all its completions, their buffers and
 *   descriptors: the kernel may still read them. context::close() waits until nothing is left.
 */
#ifndef ZCREQ_HPP
#define ZCREQ_HPP

#include <memory>
#include <new>
#include <system_error>
#include <type_traits>
#include <utility>

#include <errno.h>
#include <poll.h>

#include <zcreq/zcreq.h>

namespace zcreq {

namespace detail {

inline void check(int ret, const char *what)
{
	if (ret < 0)
		throw std::system_error(-ret, std::generic_category(), what);
}

/* The arg of a request: the place of a completion, which is there once it is accepted. */
template <class F> struct completion {
	alignas(F) unsigned char place[sizeof(F)];

	static void released(zcreq_id, int status, void *arg) noexcept
	{
		std::unique_ptr<completion> self(static_cast<completion *>(arg));
		F *there = std::launder(reinterpret_cast<F *>(self->place));
		F done(std::move(*there));

		there->~F();
		self.reset();
		done(status);
	}

	static constexpr zcreq_request_hooks hooks = {released, {}, {}, {}, {}};
};

template <class T, class Call> constexpr bool has(Call) { return std::is_invocable_v<Call, T &>; }
template <class T> T &at(void *arg) { return *static_cast<T *>(arg); }

/* The hooks that call the public member functions which T has. */
template <class T> constexpr zcreq_conn_hooks member_hooks()
{
	zcreq_conn_hooks to{};

	if constexpr (has<T>([](auto &t) -> decltype(void(t.aborted(0))) {}))
		to.abort = [](zcreq_conn *, int status, void *t) noexcept { at<T>(t).aborted(status); };
	if constexpr (has<T>([](auto &t) -> decltype(void(t.closed(0))) {}))
		to.closed = [](zcreq_conn *, int status, void *t) noexcept { at<T>(t).closed(status); };
	if constexpr (has<T>([](auto &t) -> decltype(void(t.room())) {}))
		to.room = [](zcreq_conn *, void *t) noexcept { at<T>(t).room(); };
	if constexpr (has<T>([](auto &t) -> decltype(void(t.stalled(ZCREQ_STALL_VANISHED))) {}))
		to.stalled = [](zcreq_conn *, zcreq_stall is, void *t) noexcept { at<T>(t).stalled(is); };
	if constexpr (has<T>([](auto &t) -> decltype(void(t.readable())) {}))
		to.readable = [](zcreq_conn *, void *t) noexcept { at<T>(t).readable(); };
	return to;
}

template <class T> inline constexpr zcreq_conn_hooks hooks_of = member_hooks<T>();

/* A context that something is left in is not freed: that is meant, see above. */
struct end {
	void operator()(zcreq_context *context) const noexcept { (void)!zcreq_context_free(context); }
	void operator()(zcreq_conn *conn) const noexcept { zcreq_conn_free(conn); }
};

} // namespace detail

/* One thread's tables: context.h. */
class context {
public:
	explicit context(zcreq_context_options options = {})
	{
		zcreq_context *made;

		options.size = sizeof(options);
		detail::check(zcreq_context_new(&options, &made), "zcreq_context_new");
		context_.reset(made);
	}

	zcreq_context *get() const noexcept { return context_.get(); }

	/* To be polled, in any loop: zcreq_context_fd(). */
	int fd() noexcept { return zcreq_context_fd(get()); }

	/* Everything that is due; says when to come back: zcreq_turn(). */
	uint64_t turn(uint64_t now_ns = zcreq_now_ns()) noexcept { return zcreq_turn(get(), now_ns); }

	/* Turns, by zcreq_now_ns(), until nothing is left and the context is freed: 0. -EBUSY if that
	 * takes longer, or a connection is not ended yet, or in a callback; all is as it was then. */
	int close(uint32_t timeout_ms) noexcept
	{
		const uint64_t end = zcreq_now_ns() + uint64_t{timeout_ms} * 1000000;

		for (;;) {
			const uint64_t now = zcreq_now_ns(), due = turn(now);
			const int ret = zcreq_context_free(get());

			if (!ret)
				context_.release();
			if (!ret || now >= end)
				return ret;
			pollfd one = {fd(), POLLIN, 0};
			if (one.fd < 0)
				return one.fd;
			poll(&one, 1, zcreq_timeout_ms(due < end ? due : end, now));
		}
	}

private:
	std::unique_ptr<zcreq_context, detail::end> context_;
};

/* A stream on a connected TCP socket: stream.h. Not used once its context is closed. */
class connection {
public:
	/* options.fd is the connection's from now on; if this throws, still the caller's. */
	connection(context &in, zcreq_stream_options options)
	{
		zcreq_conn *made;

		options.size = sizeof(options);
		detail::check(zcreq_stream_open(in.get(), &options, &made), "zcreq_stream_open");
		conn_.reset(made);
	}

	/* With an owner that outlives it, and hears as much as it has member functions for:
	 * aborted(int), closed(int), room(), stalled(zcreq_stall), readable(). */
	template <class T> connection(context &in, zcreq_stream_options options, T &owner)
		: connection(in, (options.hooks = &detail::hooks_of<T>, options.arg = &owner, options)) {}

	zcreq_conn *get() const noexcept { return conn_.get(); }

	/* zcreq_send(): done(status) when nobody reads the memory any more. */
	template <class F> int send(const iovec *iov, int iovcnt, F &&done, zcreq_id *id = nullptr) noexcept
	{
		return with(std::forward<F>(done), [&](const zcreq_request_hooks *hooks, void *arg) {
			return zcreq_send(get(), hooks, arg, iov, iovcnt, 0, id);
		});
	}

	/* zcreq_begin(): to be added to, and finished, with the functions of request.h. */
	template <class F> int begin(F &&done, zcreq_id *id) noexcept
	{
		return with(std::forward<F>(done), [&](const zcreq_request_hooks *hooks, void *arg) {
			return zcreq_begin(get(), hooks, arg, 0, id);
		});
	}

	int write(const void *data, size_t len) noexcept { return zcreq_write(get(), data, len); }
	int drain(uint32_t timeout_ms) noexcept { return zcreq_conn_drain(get(), timeout_ms); }
	int state() const noexcept { return zcreq_conn_state(get()); }

private:
	template <class F, class Start> int with(F &&done, Start start) noexcept
	{
		using held = std::decay_t<F>;
		static_assert(std::is_invocable_v<held &, int>, "a completion is called with a status");
		static_assert(std::is_nothrow_constructible_v<held, F &&> &&
			      std::is_nothrow_move_constructible_v<held>,
			      "moving a completion must not throw: std::move() it, or keep a pointer");
		std::unique_ptr<detail::completion<held>> to(new (std::nothrow) detail::completion<held>);
		const int ret = to ? start(&to->hooks, to.get()) : -ENOMEM;

		if (!ret)
			::new (static_cast<void *>(to.release()->place)) held(std::forward<F>(done));
		return ret;
	}

	std::unique_ptr<zcreq_conn, detail::end> conn_;
};

} // namespace zcreq

#endif

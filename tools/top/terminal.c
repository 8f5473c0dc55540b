/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * terminal.c - a terminal is taken, and given back as it was
 *
 * It is given back on every way out: q, an interrupt, a termination, a hang-up, an error. The
 * signals are blocked but for the time of the wait, so that none comes between a look at the
 * flag and the sleep.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "top.h"

static const int endings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static struct termios before;
static sigset_t open_signals; /* as they were */
static volatile sig_atomic_t over;
static bool taken, typed; /* typed: keys can be read */

static void on_end(int signal)
{
	(void)signal;
	over = 1;
}

static void on_resize(int signal)
{
	(void)signal; /* the wait is interrupted by it */
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_end};
	sigset_t caught;

	sigemptyset(&caught);
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		sigaction(endings[i], &action, NULL);
		sigaddset(&caught, endings[i]);
	}
	action.sa_handler = on_resize;
	sigaction(SIGWINCH, &action, NULL);
	sigaddset(&caught, SIGWINCH);
	sigprocmask(SIG_BLOCK, &caught, &open_signals);
}

/* Keys come one by one and are not shown; there is no way to be stopped. */
static void take_keys(void)
{
	struct termios keys;

	typed = tcgetattr(STDIN_FILENO, &before) == 0;
	if (!typed)
		return;
	keys = before;
	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.c_cc[VMIN] = 0;
	keys.c_cc[VTIME] = 0;
	keys.c_cc[VSUSP] = _POSIX_VDISABLE;
	tcsetattr(STDIN_FILENO, TCSANOW, &keys);
}

bool terminal_take(void)
{
	if (!isatty(STDOUT_FILENO))
		return false;
	catch_signals();
	take_keys();
	taken = true;
	atexit(terminal_give_back);
	fputs("\033[?1049h\033[?25l\033[?7l", stdout); /* another screen, no cursor, no wrapping */
	return true;
}

void terminal_give_back(void)
{
	if (!taken)
		return;
	taken = false;
	fputs("\033[?7h\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (typed)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

void terminal_size(unsigned *width, unsigned *height)
{
	struct winsize size = {0};

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	*width = size.ws_col ? size.ws_col : 80;
	*height = size.ws_row ? size.ws_row : 24;
}

/* False: a key says so, or there is nobody any more to press one. */
static bool goes_on(void)
{
	char keys[64];
	ssize_t got = read(STDIN_FILENO, keys, sizeof(keys));

	return got > 0 && !memchr(keys, 'q', (size_t)got) && !memchr(keys, 'Q', (size_t)got);
}

bool terminal_wait(unsigned ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	struct pollfd keys = {.fd = typed ? STDIN_FILENO : -1, .events = POLLIN};
	int ready = ppoll(&keys, 1, &pause, &open_signals);

	if (ready > 0 && !goes_on())
		return false;
	return !over;
}

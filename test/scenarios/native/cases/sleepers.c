//! about: Threads that sleep in every kind of call: none is interrupted, and no sleep is too short.
#include "target.h"
#include <arpa/inet.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static struct timespec after(clockid_t clock, long ns) {
  struct timespec until;
  clock_gettime(clock, &until);
  until.tv_nsec += ns;
  if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
  return until;
}
#define SLEEPER(name, setup, ...) static void *name(void *unused) { setup; for (;; check(probe())) { __VA_ARGS__; } return unused; }
SLEEPER(in_nanosleep, , struct timespec w = {0, 20000000}; if (nanosleep(&w, NULL) != 0) fault("nanosleep", errno))
SLEEPER(in_absolute, , struct timespec w = after(CLOCK_MONOTONIC, 20000000); int e = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &w, NULL); if (e) fault("clock_nanosleep", e))
SLEEPER(in_poll, int p[2]; if (pipe(p)) abort(), struct pollfd one = {p[0], POLLIN, 0}; if (poll(&one, 1, 15) != 0) fault("poll", errno))
SLEEPER(in_ppoll, int p[2]; if (pipe(p)) abort(), struct pollfd one = {p[0], POLLIN, 0}; struct timespec t = {0, 15000000}; if (ppoll(&one, 1, &t, NULL) != 0) fault("ppoll", errno))
SLEEPER(in_select, int p[2]; if (pipe(p)) abort(), fd_set set; FD_ZERO(&set); FD_SET(p[0], &set); struct timeval t = {0, 15000}; if (select(p[0] + 1, &set, NULL, NULL, &t) != 0) fault("select", errno))
SLEEPER(in_epoll, int e = epoll_create1(0), struct epoll_event event; if (epoll_wait(e, &event, 1, 15) != 0) fault("epoll_wait", errno))
SLEEPER(in_epoll_pwait, int e = epoll_create1(0); sigset_t none; sigemptyset(&none), struct epoll_event event; if (epoll_pwait(e, &event, 1, 15, &none) != 0) fault("epoll_pwait", errno))
SLEEPER(in_semaphore, sem_t s; sem_init(&s, 0, 0), struct timespec w = after(CLOCK_REALTIME, 15000000); if (sem_timedwait(&s, &w) == 0 || errno != ETIMEDOUT) fault("sem_timedwait", errno))
SLEEPER(in_condition, pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER; pthread_cond_t c = PTHREAD_COND_INITIALIZER, struct timespec w = after(CLOCK_REALTIME, 15000000); pthread_mutex_lock(&m); int e = pthread_cond_timedwait(&c, &m, &w); if (e != ETIMEDOUT && e != 0) fault("futex", e); pthread_mutex_unlock(&m))
SLEEPER(in_sigtimedwait, sigset_t s; sigemptyset(&s); sigaddset(&s, SIGUSR2); pthread_sigmask(SIG_BLOCK, &s, NULL), struct timespec w = {0, 15000000}; if (sigtimedwait(&s, NULL, &w) >= 0 || errno != EAGAIN) fault("sigtimedwait", errno))
static int listening(void) {
  int socket_ = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct timeval limit = {0, 15000};
  if (bind(socket_, (struct sockaddr *)&any, sizeof any) != 0 || listen(socket_, 1) != 0) abort();
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return socket_;
}
SLEEPER(in_accept, int l = listening(), if (accept(l, NULL, NULL) >= 0 || errno != EAGAIN) fault("accept", errno))
static int datagrams(void) {
  int ends[2];
  struct timeval limit = {0, 15000};
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0) abort();
  setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return ends[0];
}
SLEEPER(in_recv, int d = datagrams(); char byte, if (recv(d, &byte, 1, 0) >= 0 || errno != EAGAIN) fault("recv", errno))
static int ends[2];
SLEEPER(in_read, , char byte; if (read(ends[0], &byte, 1) != 1) fault("read", errno))
SLEEPER(in_write, , usleep(10000); if (write(ends[1], "x", 1) != 1) fault("write", errno))
void start(int count, char **words) {
  if (pipe(ends) != 0) abort();
  void *(*all[])(void *) = {in_nanosleep, in_absolute, in_poll, in_ppoll, in_select, in_epoll, in_epoll_pwait, in_semaphore, in_condition, in_sigtimedwait, in_accept, in_recv, in_read, in_write};
  for (unsigned i = 0; i < sizeof all / sizeof *all; i++) start_thread(all[i]);
}

/* A program that works and checks itself all the time: every call's errno, its sums, its timers, and that a patched pair of functions is never half old and half new. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static atomic_long rounds, faults, mixtures, ticks;
static char first_fault[200];

/* Set when the patcher is killed on the way: the kernel ends these calls with EINTR then, as after any SIGSTOP and SIGCONT (signal(7)). */
static int may_be_interrupted;

static void fault(const char *what, int error) {
  if (error == EINTR && may_be_interrupted && (strcmp(what, "epoll_wait") == 0 || strcmp(what, "accept") == 0)) return;
  if (atomic_fetch_add(&faults, 1) == 0) snprintf(first_fault, sizeof first_fault, "%s: %s", what, strerror(error));
}

#ifdef HALVES_ELSEWHERE
int first_half(int x);
int second_half(int x);
#else
__attribute__((noinline)) int first_half(int x) { __asm__ volatile("" ::: "memory"); return x + 1; }
__attribute__((noinline)) int second_half(int x) { __asm__ volatile("" ::: "memory"); return x + 1; }
#endif
/* Both are called in it, so that a thread between them has it on its stack. */
__attribute__((noinline)) int both(int x) { int a = first_half(x), b = second_half(x); return a * 1000 + b; }

static void on_tick(int signal) { (void)signal; atomic_fetch_add(&ticks, 1); }

static void *busy(void *unused) {
  (void)unused;
  for (double sum = 0;; atomic_fetch_add(&rounds, 1)) {
    int pair = both(1);
    if (pair != 2002 && pair != 3003) atomic_fetch_add(&mixtures, 1);
    double wanted = sum + 0.5;
    for (int i = 0; i < 5; i++) sum += 0.1;
    if (sum - wanted > 1e-6 || wanted - sum > 1e-6) fault("a sum", 0);
    if (sum > 1e6) sum = 0;
  }
}

static void *in_nanosleep(void *unused) {
  (void)unused;
  for (;; atomic_fetch_add(&rounds, 1)) {
    struct timespec wanted = {0, 20000000}, from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (nanosleep(&wanted, NULL) != 0) fault("nanosleep", errno);
    clock_gettime(CLOCK_MONOTONIC, &to);
    long ns = (to.tv_sec - from.tv_sec) * 1000000000L + to.tv_nsec - from.tv_nsec;
    if (ns < 20000000) fault("a short sleep", 0);
  }
}

static void *in_poll(void *unused) {
  (void)unused;
  int ends[2];
  if (pipe(ends) != 0) abort();
  for (;; atomic_fetch_add(&rounds, 1)) {
    struct pollfd one = {ends[0], POLLIN, 0};
    if (poll(&one, 1, 15) != 0) fault("poll", errno);
  }
}

static void *in_epoll(void *unused) {
  (void)unused;
  int epoll = epoll_create1(0);
  for (;; atomic_fetch_add(&rounds, 1)) {
    struct epoll_event event;
    if (epoll_wait(epoll, &event, 1, 15) != 0) fault("epoll_wait", errno);
  }
}

static void *in_futex(void *unused) {
  (void)unused;
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t never = PTHREAD_COND_INITIALIZER;
  for (;; atomic_fetch_add(&rounds, 1)) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 15000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&lock);
    int error = pthread_cond_timedwait(&never, &lock, &until);
    if (error != ETIMEDOUT && error != 0) fault("futex", error);
    pthread_mutex_unlock(&lock);
  }
}

static int pipe_ends[2];
static void *in_read(void *unused) {
  (void)unused;
  for (;; atomic_fetch_add(&rounds, 1)) {
    char byte;
    if (read(pipe_ends[0], &byte, 1) != 1) fault("read", errno);
  }
}
static void *in_write(void *unused) {
  (void)unused;
  for (;; atomic_fetch_add(&rounds, 1)) {
    usleep(10000);
    if (write(pipe_ends[1], "x", 1) != 1) fault("write", errno);
  }
}

static void *in_accept(void *unused) {
  (void)unused;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct timeval limit = {0, 15000};
  if (bind(listener, (struct sockaddr *)&any, sizeof any) != 0 || listen(listener, 1) != 0) abort();
  setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  for (;; atomic_fetch_add(&rounds, 1)) {
    if (accept(listener, NULL, NULL) >= 0 || errno != EAGAIN) fault("accept", errno);
  }
}

static void report(void) {
  printf("{\"pair\":%d,\"rounds\":%ld,\"faults\":%ld,\"mixtures\":%ld,\"ticks\":%ld,\"first\":\"%s\"}\n", both(1),
         atomic_load(&rounds), atomic_load(&faults), atomic_load(&mixtures), atomic_load(&ticks), first_fault);
  fflush(stdout);
}

#ifdef ALONE
/* One thread that works, waits, and answers. */
static void answer_alone(void) {
  char line[100];
  puts("ready");
  fflush(stdout);
  setvbuf(stdin, NULL, _IONBF, 0);
  for (;; atomic_fetch_add(&rounds, 1)) {
    int pair = both(1);
    if (pair != 2002 && pair != 3003) atomic_fetch_add(&mixtures, 1);
    struct pollfd one = {0, POLLIN, 0};
    int ready = poll(&one, 1, 1);
    if (ready < 0) fault("poll", errno);
    if (ready != 1) continue;
    if (fgets(line, sizeof line, stdin) == NULL) return;
    report();
  }
}
#endif

int main(int count, char **words) {
  struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
  if (count > 1 && strcmp(words[1], "timer") == 0) {
    struct itimerval often = {{0, 2000}, {0, 2000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
  }
  may_be_interrupted = count > 1 && strcmp(words[1], "killed") == 0;
  sigset_t alarm_only;
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
#ifdef ALONE
  answer_alone();
  return 0;
#endif
  pthread_t thread;
  pthread_create(&thread, NULL, busy, NULL);
  /* The others must see no EINTR at all, so the timer's signal is for the busy thread and main. */
  pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
  if (pipe(pipe_ends) != 0) abort();
  void *(*kinds[])(void *) = {in_nanosleep, in_poll, in_epoll, in_futex, in_read, in_write, in_accept};
  for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) pthread_create(&thread, NULL, kinds[i], NULL);
  puts("ready");
  fflush(stdout);
  char line[100];
  while (fgets(line, sizeof line, stdin) != NULL) {
    report();
  }
}

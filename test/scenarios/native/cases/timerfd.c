//! about: A timerfd every 2 ms: no expiry is lost, no read is interrupted.
#include "target.h"
#include <stdint.h>
#include <sys/timerfd.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static void *reading(void *unused) {
  int timer = timerfd_create(CLOCK_MONOTONIC, 0);
  struct itimerspec often = {{0, 2000000}, {0, 2000000}};
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  timerfd_settime(timer, 0, &often, NULL);
  for (int64_t total = 0;;) {
    uint64_t expired;
    if (read(timer, &expired, sizeof expired) != sizeof expired) { fault("read", errno); continue; }
    total += (int64_t)expired;
    clock_gettime(CLOCK_MONOTONIC, &to);
    int64_t due = ((to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec) / 2000000;
    if (due < total || due > total + 500) fault("expiries", 0);
    check(probe());
  }
  return unused;
}
void start(int count, char **words) { start_thread(reading); }

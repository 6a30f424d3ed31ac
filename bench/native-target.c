/* One thread watches its own clock, the others sleep as those of a server do; answers each line with the longest gap, in nanoseconds, since the last one, or with the time of a call. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static atomic_long longest;

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

__attribute__((noinline)) int answer(int x) { __asm__ volatile("" ::: "memory"); return x + 1; }

static void *watch(void *unused) {
  (void)unused;
  for (long last = now();;) {
    long time = now();
    if (time - last > atomic_load(&longest)) atomic_store(&longest, time - last);
    last = time;
  }
}

static void *sleeper(void *unused) {
  (void)unused;
  for (;;) usleep(50000 + answer(1));
}

int main(int count, char **words) {
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 256 * 1024);
  pthread_t thread;
  int wanted = count > 1 ? atoi(words[1]) : 1;
  if (wanted > 1) pthread_create(&thread, &small, watch, NULL);
  for (int i = 2; i < wanted; i++) pthread_create(&thread, &small, sleeper, NULL);
  puts("ready");
  fflush(stdout);
  char line[100];
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (line[0] == 'c') {
      const int calls = 20000000;
      int sum = 0;
      long start = now();
      for (int i = 0; i < calls; i++) sum = answer(sum);
      printf("%f %d\n", (double)(now() - start) / calls, sum);
      fflush(stdout);
      continue;
    }
    printf("%ld %d\n", atomic_exchange(&longest, 0), answer(1));
    fflush(stdout);
  }
}

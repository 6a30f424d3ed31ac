/*
 * What every target of the farm has: a main that answers `report`, counters of which version ran, and a place for faults.
 *
 * A scenario defines `int probe(void)`: 0 when all that it called was the old code, 1 when all was the new; anything else is a mixture.
 * VERSION is 0 in the source before the fix and 1 behind it.
 */
#ifndef TARGET_H
#define TARGET_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Shared with forked children, so that what they see counts. */
struct counters {
  long ran[2], rounds, faults, mixtures;
  char first_fault[200];
};
extern struct counters *counters;

#define NOINLINE __attribute__((noinline, noclone))
/* Keeps the compiler from seeing through a function that has nothing else to do. */
#define OPAQUE() __asm__ volatile("" ::: "memory")
#define RAN() __atomic_fetch_add(&counters->ran[VERSION], 1, __ATOMIC_SEQ_CST)

int probe(void);
/* Called once before `ready`, where the scenario has it. */
void start(int count, char **words) __attribute__((weak));

void fault(const char *what, int error);
void one_round(void);
/* A round of work: the pair must be all old or all new. */
void check(int value);
void start_thread(void *(*run)(void *));
/* Calls probe over and over, with a little time between. */
void *probing(void *unused);
void *probing_rarely(void *unused);
void answer_reports(void);
void get_ready(void);

#ifdef __cplusplus
}
#endif
#endif

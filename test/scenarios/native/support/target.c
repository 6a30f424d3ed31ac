/* Linked into every target of the farm; see target.h. */
#include "target.h"
#include <sys/mman.h>
#include <sys/prctl.h>

struct counters *counters;

void fault(const char *what, int error) {
  if (__atomic_fetch_add(&counters->faults, 1, __ATOMIC_SEQ_CST) == 0)
    snprintf(counters->first_fault, sizeof counters->first_fault, "%s: %s", what, strerror(error));
}

void one_round(void) { __atomic_fetch_add(&counters->rounds, 1, __ATOMIC_SEQ_CST); }

void check(int value) {
  if (value != 0 && value != 1) __atomic_fetch_add(&counters->mixtures, 1, __ATOMIC_SEQ_CST);
  one_round();
}

void start_thread(void *(*run)(void *)) {
  pthread_t thread;
  int error = pthread_create(&thread, NULL, run, NULL);
  if (error != 0) fault("pthread_create", error);
}

void *probing(void *unused) {
  for (;;) {
    check(probe());
    /* Time in which no changed function is on the stack. */
    for (volatile int i = 0; i < 20000; i++) continue;
  }
  return unused;
}

void *probing_rarely(void *unused) {
  for (;;) {
    check(probe());
    usleep(1000);
  }
  return unused;
}

void answer_reports(void) {
  char line[100];
  while (fgets(line, sizeof line, stdin) != NULL) {
    int value = probe();
    check(value);
    printf("{\"value\":%d,\"old\":%ld,\"new\":%ld,\"rounds\":%ld,\"faults\":%ld,\"mixtures\":%ld,\"first\":\"%s\"}\n", value,
           counters->ran[0], counters->ran[1], counters->rounds, counters->faults, counters->mixtures, counters->first_fault);
    fflush(stdout);
  }
}

void get_ready(void) {
  /* The end of the scenario is the end of its target, even where it reads no input. */
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (counters == MAP_FAILED) abort();
  /* Buffers are there before the memory map is looked at. */
  setvbuf(stdout, NULL, _IOLBF, 4096);
  ungetc('\n', stdin);
  getc(stdin);
}

__attribute__((weak)) int main(int count, char **words) {
  get_ready();
  if (start) start(count, words);
  puts("ready");
  answer_reports();
  return 0;
}

//! about: The main thread has ended by pthread_exit, the others live on: its entry under /proc is a zombie without memory, so it is refused with that reason, and not called ended.
//! refuses: apply target/main-thread-ended pthread_exit
#include "target.h"
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static void *answering(void *unused) {
  char state[256];
  do {
    usleep(1000);
    FILE *file = fopen("/proc/self/stat", "r");
    if (file == NULL || fgets(state, sizeof state, file) == NULL) abort();
    fclose(file);
  } while (strstr(state, ") Z ") == NULL);
  puts("ready");
  answer_reports();
  exit(0);
}
int main(int count, char **words) {
  get_ready();
  start_thread(answering);
  start_thread(probing_rarely);
  pthread_exit(NULL);
}

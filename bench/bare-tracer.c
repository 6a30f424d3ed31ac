/* The floor for a pause: seizes, interrupts and lets go all threads of a process, and does nothing else. Prints the nanoseconds from the first interrupt to the last detach. */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

int main(int count, char **words) {
  if (count < 2) return 2;
  char path[64];
  static int threads[65536];
  int total = 0;
  snprintf(path, sizeof path, "/proc/%s/task", words[1]);
  DIR *folder = opendir(path);
  for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
    if (entry->d_name[0] != '.') threads[total++] = atoi(entry->d_name);
  for (int i = 0; i < total; i++)
    if (ptrace(PTRACE_SEIZE, threads[i], 0, 0) != 0) return 1;
  long start = now();
  for (int i = 0; i < total; i++) ptrace(PTRACE_INTERRUPT, threads[i], 0, 0);
  for (int i = 0; i < total; i++) waitpid(threads[i], NULL, __WALL);
  for (int i = 0; i < total; i++) ptrace(PTRACE_DETACH, threads[i], 0, 0);
  printf("%ld\n", now() - start);
}

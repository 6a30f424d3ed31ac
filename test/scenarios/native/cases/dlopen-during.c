//! about: A library is loaded and unloaded all the time while another one's code and the program's own change.
//! link: -pthread -ldl
//! map: varies
#include "target.h"
#include <dlfcn.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static void *loading(void *unused) {
  for (;;) {
    void *library = dlopen("./libcoming.so", RTLD_NOW);
    int (*coming)(int) = library ? (int (*)(int))dlsym(library, "coming") : NULL;
    if (coming == NULL || coming(1) != 8) fault("dlopen", 0);
    else dlclose(library);
    check(probe());
    usleep(500);
  }
  return unused;
}
void start(int count, char **words) { start_thread(loading); }
//! file: libcoming.c
int coming(int x) { return x + 7; }

//! about: A struct that lives as long as the process gets a field more: refused by its name.
//! refuses: build build/changed-layout session
#include "target.h"
struct session {
  int id;
#if VERSION
  int limit;
#endif
  char name[16];
};
static struct session *all[4];
NOINLINE void open_session(int which) { all[which] = calloc(1, sizeof **all); all[which]->id = which; }
NOINLINE int answer(int which) { OPAQUE(); return all[which]->id + all[which]->name[0] + VERSION; }
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) { for (int i = 0; i < 4; i++) open_session(i); }

//! about: Hooks of all four moments, each in its turn; objects that exist get a field by shadow variables, and a changed initial value is set and put back.
//! map: varies
#include "target.h"
#if VERSION
#include <rebootless-shadow.h>
#endif
struct session { struct session *next; int number; };
static struct session *sessions;
/* 0 without the hotpatch; each hook asks for the one before. */
int moment;
#if VERSION
int limit = 20;
#else
int limit = 10;
#endif
NOINLINE int answer(void) {
  RAN();
  int wrong = 0, count = 0;
  for (struct session *session = sessions; session != NULL; session = session->next) {
    count++;
#if VERSION
    int *field = rebootless_shadow_get(session, 7);
    if (field == NULL || *field != session->number * 2 || moment < 1) wrong++;
#endif
  }
#if VERSION
  return wrong == 0 && count == 5 && limit == 20 ? 1 : 2;
#else
  return wrong == 0 && count == 5 && limit == 10 ? 0 : 3;
#endif
}
int probe(void) { return answer(); }
void start(int count, char **words) {
  for (int number = 1; number <= 5; number++) {
    struct session *session = calloc(1, sizeof *session);
    session->number = number;
    session->next = sessions;
    sessions = session;
  }
  start_thread(probing_rarely);
  start_thread(probing);
}
//! file: hooks.c
#include <rebootless.h>
#include <rebootless-shadow.h>
#include <stdlib.h>
#include <string.h>
struct session { struct session *next; int number; };
extern struct session *sessions;
extern int moment, limit;
REBOOTLESS_HANDLES_DATA(limit);
static char *kept;
static int step(int from, int to) {
  if (moment != from) return 10 + moment;
  moment = to;
  return 0;
}
static int convert(void) {
  for (struct session *session = sessions; session != NULL; session = session->next) {
    int *field = rebootless_shadow_get_or_alloc(session, 7, sizeof *field);
    if (field == NULL) return 1;
    *field = session->number * 2;
  }
  limit = 20;
  return step(0, 1);
}
static int allocate(void) {
  kept = malloc(100000);
  if (kept == NULL) return 1;
  memset(kept, 1, 100000);
  return step(1, 2);
}
static int put_back(void) { limit = 10; return step(2, 3); }
static int give_back(void) { free(kept); return step(3, 0); }
REBOOTLESS_BEFORE_APPLY(convert);
REBOOTLESS_AFTER_APPLY(allocate);
REBOOTLESS_BEFORE_REVERT(put_back);
REBOOTLESS_AFTER_REVERT(give_back);

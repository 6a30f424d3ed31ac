//! about: main itself changes, and waits for its input forever; a notice says so when it is built, and apply refuses.
//! refuses: apply plan/active-function was in main
//! wait: 1
#include "target.h"
int probe(void) { return 0; }
int main(int count, char **words) {
  get_ready();
  puts("ready");
  answer_reports();
  return VERSION;
}

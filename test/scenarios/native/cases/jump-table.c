//! about: A switch with a jump table gets cases more, and other ones.
#include "target.h"
NOINLINE int classify(int x) {
  RAN();
  switch (x) {
    case 0: return 10; case 1: return 22; case 2: return 37; case 3: return 41; case 4: return 59;
    case 5: return 62; case 6: return 73; case 7: return 88;
#if VERSION
    case 8: return 91; case 9: return 104; case 10: return 117;
#endif
    default: return -1;
  }
}
int probe(void) {
  int sum = 0;
  for (int i = 0; i < 8; i++) sum += classify(i);
  if (sum != 392) return 2;
  return classify(9) == 104 && classify(11) == -1 ? 1 : classify(9) == -1 ? 0 : 3;
}
void start(int count, char **words) { start_thread(probing); }

//! about: The entry of the changed function crosses a page, where a jump would be written in two parts: it stands behind instructions that can be undone, or is refused.
//! variant: one-byte: gcc; -O2 -fno-pie -fno-ipa-ra -DLEAD=1; -no-pie -pthread -Wl,--section-start=.crossing=0x500fff
//! variant: two-bytes: gcc; -O2 -fno-pie -fno-ipa-ra -DLEAD=1; -no-pie -pthread -Wl,--section-start=.crossing=0x500ffe
//! variant: four-bytes: gcc; -O2 -fno-pie -fno-ipa-ra -DLEAD=1; -no-pie -pthread -Wl,--section-start=.crossing=0x500ffc
//! variant: frame: gcc; -O0 -fcf-protection=none -fno-pie -fno-ipa-ra -DLEAD=1; -no-pie -pthread -Wl,--section-start=.crossing=0x500ffd
//! variant: endbr64: gcc; -O2 -fcf-protection -fno-pie -fno-ipa-ra -DLEAD=1; -no-pie -pthread -Wl,--section-start=.crossing=0x500ff9
//! variant: refused: gcc; -O2 -fno-pie -DLEAD=0; -no-pie -pthread -Wl,--section-start=.crossing=0x500ffe; apply target/entry-too-short answer.*crosses a page
#include "target.h"
NOINLINE int inner(int x, int y) { OPAQUE(); return x + y - y; }
__attribute__((section(".crossing"), aligned(1))) NOINLINE int answer(int x, int y, int z) {
#if LEAD
  /* Values that live over calls are kept in registers that have to be pushed. */
  int first = inner(x, y), second = inner(y, z), third = inner(z, x);
  RAN();
  int fourth = inner(first, second);
  return first + second + third + inner(fourth, x) - x + VERSION;
#else
  RAN();
  return x * 4 + (y & z) + VERSION;
#endif
}
int probe(void) { return answer(1, 2, 3) - 6; }
void start(int count, char **words) { start_thread(probing); start_thread(probing_rarely); }

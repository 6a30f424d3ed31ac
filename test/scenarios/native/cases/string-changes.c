//! about: Only the text of a message changes.
#include "target.h"
#if VERSION
#define MESSAGE "the fixed message"
#else
#define MESSAGE "the message"
#endif
NOINLINE const char *message(void) { RAN(); OPAQUE(); return MESSAGE; }
int probe(void) { const char *got = message(); return strcmp(got, "the message") == 0 ? 0 : strcmp(got, "the fixed message") == 0 ? 1 : 2; }

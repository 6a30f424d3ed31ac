//! about: The fix changes comments alone: there is nothing to patch, which is an answer.
//! refuses: build build/nothing-changed
#include "target.h"
#if VERSION
/* Another word. */
#endif
int probe(void) { return 0; }

//! about: A process in seccomp's strict mode: refused with a reason, and alive.
//! refuses: apply target/seccomp strict mode
#include "target.h"
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/seccomp.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
int main(int count, char **words) {
  get_ready();
  char line[100], text[400];
  if (write(1, "ready\n", 6) != 6 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) return 1;
  while (read(0, line, sizeof line) > 0) {
    check(probe());
    int length = snprintf(text, sizeof text, "{\"value\":%d,\"old\":%ld,\"new\":%ld,\"rounds\":%ld,\"faults\":0,\"mixtures\":0,\"first\":\"\"}\n", probe(), counters->ran[0], counters->ran[1], counters->rounds);
    if (write(1, text, (size_t)length) != length) break;
  }
  syscall(SYS_exit, 0);
}

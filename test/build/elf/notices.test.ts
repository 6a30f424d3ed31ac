import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { buildProject, type Files } from "./support/project.ts";

/** A server: reads its settings once, forks workers, waits for input in a loop; a helper thread; a restart of itself. */
const server: Files = {
  "server.h":
    "int settings(const char *text);\nint answer(int x);\nvoid restart(char **argv);\nvoid helpers(void);\nextern int limit;\n",
  "settings.c": `#include <stdlib.h>
#include <string.h>
#include "server.h"
int limit = 10;
static int doubled;
__attribute__((noinline)) static int parse(const char *text) { return text ? atoi(text) * 2 + (int)strlen(text) : 7; }
__attribute__((noinline)) int settings(const char *text) { doubled = limit * 2; limit = parse(text) + doubled; return limit; }
`,
  "answer.c": `#include "server.h"
__attribute__((noinline)) int answer(int x) { return x * 3 + 1; }
`,
  "main.c": `#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "server.h"
static volatile int sum;
__attribute__((noinline)) static void serve(int count) {
  struct pollfd fd = {0, POLLIN, 0};
  while (poll(&fd, 1, 1000) >= 0) { char c; if (read(0, &c, 1) < 1) break; sum += answer(c) + count; }
}
int main(int argc, char **argv) {
  settings(argc > 1 ? argv[1] : getenv("SETTINGS"));
  /*FORK*/
  serve(argc);
  return sum;
}
`,
};

async function notices(
  file: string,
  from: string,
  to: string,
  files: Files = server,
  flags = "-O2",
): Promise<readonly string[]> {
  const text = files[file] ?? "";
  assert.ok(text.includes(from), `${file} has ${from}`);
  const { change } = await buildProject({ files, fixed: { [file]: text.replace(from, to) }, flags });
  return change.notices;
}

describe("what needs more than code is told", () => {
  test("a fix in what runs only while the program starts, through a function that only it calls", async () => {
    for (const flags of ["-O2", "-O0", "-O2 -fno-pie -no-pie"]) {
      const [notice, ...more] = await notices("settings.c", "* 2 + (int)strlen", "* 3 + (int)strlen", server, flags);
      assert.match(notice ?? "", /^parse \(settings\.c\) runs only while the program starts/);
      assert.deepEqual(more, []);
    }
  });

  test("a fix in what runs for every request needs nothing more", async () => {
    assert.deepEqual(await notices("answer.c", "x * 3 + 1", "x * 5 + 1"), []);
  });

  test("a function that holds the program's loop, and main, which calls it", async () => {
    const [notice] = await notices("main.c", "answer(c) + count", "answer(c) - count");
    assert.match(notice ?? "", /^serve \(main\.c\) changes and is left only when .*: it waits for work in a loop/);
    const [ofMain] = await notices("main.c", "return sum;", "return sum & 1;");
    assert.match(ofMain ?? "", /^main \(main\.c\) changes and is left only when .*: it calls the program's main loop/);
  });

  test("a function that threads begin in and wait in", async () => {
    const files = {
      ...server,
      "main.c": (server["main.c"] ?? "")
        .replace(
          "int main(",
          `#include <pthread.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static void *worker(void *unused) {
  (void)unused;
  pthread_mutex_lock(&lock);
  for (;;) { pthread_cond_wait(&more, &lock); sum += answer(sum); }
}
int main(`,
        )
        .replace("/*FORK*/", "pthread_t thread; pthread_create(&thread, 0, worker, 0);"),
    };
    const [notice] = await notices("main.c", "sum += answer(sum)", "sum -= answer(sum)", files);
    assert.match(notice ?? "", /^worker \(main\.c\) .*threads begin in it/);
  });

  test("a master whose workers run the changed code, and none where the child runs another program or the parent ends", async () => {
    const forking = (code: string): Files => ({
      ...server,
      "main.c": (server["main.c"] ?? "").replace("/*FORK*/", code),
    });
    const workers = await notices(
      "answer.c",
      "x * 3",
      "x * 5",
      forking("for (int i = 0; i < 4; i++) if (fork() == 0) break;"),
    );
    assert.match(workers[0] ?? "", /app forks: answer is in its children as well.*--tree/);
    const daemon = await notices("answer.c", "x * 3", "x * 5", forking("if (fork() != 0) _exit(0);"));
    assert.deepEqual(daemon, []);
    const another = forking(
      'for (int i = 0; i < argc; i++) if (fork() == 0) { execl("/bin/true", "true", (char *)0); _exit(1); }',
    );
    assert.deepEqual(await notices("answer.c", "x * 3", "x * 5", another), []);
  });

  test("a program that executes itself anew", async () => {
    const again = (code: string): Files => ({
      ...server,
      "again.c": `#include <unistd.h>\n#include "server.h"\nvoid restart(char **saved_argv) { ${code} }\n`,
      "main.c": (server["main.c"] ?? "").replace("/*FORK*/", "if (argc > 5) restart(argv);"),
    });
    const own = await notices("answer.c", "x * 3", "x * 5", again("execv(saved_argv[0], saved_argv);"));
    assert.match(own[0] ?? "", /app executes itself anew \(again\.c, line 3\)/);
    const image = await notices("answer.c", "x * 3", "x * 5", again('execv("/proc/self/exe", saved_argv);'));
    assert.match(image[0] ?? "", /app executes itself anew/);
    const other = await notices("answer.c", "x * 3", "x * 5", again('execv("/bin/true", saved_argv);'));
    assert.deepEqual(other, []);
  });

  test("new code that sets what only the start looks at", async () => {
    const [notice] = await notices("answer.c", "return x * 3 + 1;", "if (x > 100) limit = 5; return x * 3 + 1;");
    assert.match(
      notice ?? "",
      /^answer \(answer\.c\) now uses limit, which otherwise only code that runs at the start uses/,
    );
  });

  test("constructors", async () => {
    const files = {
      ...server,
      "early.c": '#include "server.h"\n__attribute__((constructor)) static void early(void) { limit = 3; }\n',
    };
    const found = await notices("early.c", "limit = 3", "limit = 4", files);
    assert.match(found[0] ?? "", /^early \(early\.c\) runs only while the program starts/);
  });
});

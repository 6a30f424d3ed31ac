/* A declaration that ends in white space: the parser asserts that there is something behind it. */
#include "tinyxml.h"
extern "C" {
#include "drv.h"
}
static void probe(const char *command) {
  TiXmlDocument document;
  document.Parse(strcmp(command, "probe") == 0 ? "<?xml " : "<?xml version=\"1.0\"?><a/>");
  printf("RESULT error=%d root=%s\n", document.ErrorId(), document.RootElement() ? "yes" : "no");
}

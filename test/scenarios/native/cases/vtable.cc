//! about: A virtual function changes: objects that exist and those to come call the new one through their tables.
#include "target.h"
struct Shape { virtual ~Shape() {} virtual int area() const = 0; virtual int sides() const { return 0; } };
struct Square : Shape { int side; explicit Square(int s) : side(s) {} int area() const override; int sides() const override { return 4; } };
__attribute__((noinline)) int Square::area() const { RAN(); OPAQUE(); return side * side + VERSION; }
static Shape *old_object;
int probe(void) {
  Shape *fresh = new Square(3);
  int one = old_object->area() - 4, other = fresh->area() - 9;
  delete fresh;
  return one == other ? one : 2;
}
void start(int count, char **words) { old_object = new Square(2); }

//! about: A template with two instances and a lambda inside; both instances change.
#include "target.h"
#include <string>
#include <vector>
template <typename T> __attribute__((noinline)) int total(const std::vector<T> &all) {
  RAN();
  int sum = 0;
  auto add = [&sum](const T &one) { sum += static_cast<int>(one); };
  for (const T &one : all) add(one);
  return sum + VERSION;
}
int probe(void) {
  std::vector<int> numbers{1, 2, 3};
  std::vector<char> letters{1, 2, 3, 4};
  int one = total(numbers) - 6, other = total(letters) - 10;
  return one == other ? one : 2;
}

// Any bytes as a program that is run until it ends, fails, or has had its time.
// It may not crash, nor fail by a fault of ours: an internal error other than
// that the memory is full. The sandbox keeps it from files.

#include <signal.h>
#include <sys/time.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/memory.h"
#include "base/sandbox.h"
#include "interp/program.h"
#include "promises.h"

namespace tl {
namespace {

// Asks what runs to stop, as Ctrl-C does, once it took this much of the
// processor. Whoever never looks is stopped by libFuzzer, and found.
class TimeOut {
 public:
  TimeOut() {
    signal(SIGPROF, [](int) { interrupt_requested = true; });
    Set(kMicroseconds);
  }
  ~TimeOut() {
    Set(0);
    interrupt_requested = false;
  }
  TimeOut(const TimeOut&) = delete;
  TimeOut& operator=(const TimeOut&) = delete;

 private:
  static constexpr int kMicroseconds = 50'000;

  static void Set(int microseconds) {
    const itimerval value = {.it_interval = {}, .it_value = {0, microseconds}};
    setitimer(ITIMER_PROF, &value, nullptr);
  }
};

void RunText(const std::string& text) {
  Output output([](std::string_view) {});
  RunOptions options;
  options.read_line = [](auto&&...) { return std::nullopt; };
  options.report = [](std::string_view) {};
  Interpreter interpreter(std::move(options), output);
  const TimeOut time_out;
  try {
    interpreter.RunText("input.tl", text);
  } catch (const Interrupted&) {
  } catch (const Error& error) {
    Promise(error.kind() != ErrorKind::kInternal ||
                error.text().starts_with("out of memory"),
            "no internal error: " + error.text());
  }
}

}  // namespace
}  // namespace tl

// A piece of memory that nobody asked for first, which is then refused with
// both numbers, is a fault.
extern "C" const char* __asan_default_options() {
  return "max_allocation_size_mb=256";
}

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  tl::BeginSandbox();
  tl::most_memory_at_once = 64 << 20;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tl::RunText({reinterpret_cast<const char*>(data), size});
  return 0;
}

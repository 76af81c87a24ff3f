// Where a run's time went: for `--profile`.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "exec/executor.h"

namespace tl {

// Steps that do the same to the same types and shapes are one line: a loop
// that decodes tokens runs each of its steps thousands of times.
class Profile final : public Observer {
 public:
  bool wants_steps() const override { return true; }
  void OnStep(const Plan& plan, const Step& step, double seconds) override;
  void OnCopy(int64_t bytes, double seconds) override;

  // A table, most time first; then what was copied to the device.
  std::string ToString() const;

 private:
  struct Line {
    int64_t runs = 0;
    double seconds = 0;
    double bytes = 0;
    double flops = 0;
  };

  double copied_bytes_ = 0;
  double copy_seconds_ = 0;
  std::map<std::string, Line> lines_;  // by what the step does
};

// "1.23 ms"
std::string FormatSeconds(double seconds);

}  // namespace tl

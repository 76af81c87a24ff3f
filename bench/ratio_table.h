// A table of kernels beside their yardstick, measured in the same run: every
// round times the yardstick and each kernel once, one after the other, so that
// a neighbour on the machine disturbs all of them alike. Prints medians.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace tl::bench {

struct Case {
  std::string name;
  double bytes;  // read and written by one run; or its operations
  std::function<void()> run;
};

inline double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2,
                   values.end());
  return values[values.size() / 2];
}

inline double SecondsOf(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

// The first case is the yardstick. A ratio is the median of each round's own.
inline void PrintRatios(const std::vector<Case>& cases, int rounds,
                        const char* unit = "GB/s") {
  std::vector<std::vector<double>> rates(cases.size());
  for (int round = -1; round < rounds; ++round) {
    for (size_t i = 0; i < cases.size(); ++i) {
      const double seconds = SecondsOf(cases[i].run);
      if (round >= 0) rates[i].push_back(cases[i].bytes / seconds * 1e-9);
    }
  }
  for (size_t i = 0; i < cases.size(); ++i) {
    std::vector<double> ratios;
    for (int round = 0; round < rounds; ++round) {
      ratios.push_back(rates[i][round] / rates[0][round]);
    }
    std::printf("%-34s %8.2f ms %7.2f %s %6.1f %%\n", cases[i].name.c_str(),
                cases[i].bytes / Median(rates[i]) * 1e-6, Median(rates[i]), unit,
                100 * Median(ratios));
  }
  std::printf("\n");
}

}  // namespace tl::bench

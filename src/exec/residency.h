// Brings leaves from host memory to a device that has its own. They stay there
// for the runs to come, unless the device's memory is limited: then they stay
// in the order they are first read while there is room beside what runs
// compute, and the others are copied for each step that reads them.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "exec/backend.h"
#include "exec/observer.h"

namespace tl {

class Residency {
 public:
  Residency(Backend& backend, Observer* observer)
      : backend_(backend), observer_(observer) {}

  // Before a run takes memory: makes leaves that stay go until there is enough.
  void BeginRun(const Plan& plan, const Structure& structure);
  // Whether this leaf stays. Asked before it is copied.
  bool Stays(Node& leaf);
  // Of this leaf what it is converted to will stay.
  void BeforeConversion(const Node& leaf);
  // The result of a conversion, which stays as a leaf does.
  void AddConverted(Node& converted);

  // Of all at once: one after the other, who copies would wait at the end of each.
  void Copy(std::span<const HostBytes> all);
  // A leaf's mirror, of which there is only the memory.
  struct Place {
    Node* leaf;
    Tensor mirror;
  };
  Place PlaceFor(Node& leaf);
  // Gives leaves their mirrors.
  void Mirror(std::vector<Place> places);

  // Calls f, which may Copy, and tells the observer how long that took.
  template <class F>
  void Timed(F f) {
    if (!timed()) return f();
    using Clock = std::chrono::steady_clock;
    backend_.Wait();
    const int64_t before = copied_;
    const Clock::time_point start = Clock::now();
    f();
    if (copied_ == before) return;
    backend_.Wait();
    const std::chrono::duration<double> time = Clock::now() - start;
    observer_->OnCopy(copied_ - before, time.count());
  }
  bool timed() const { return observer_ && observer_->wants_steps(); }

 private:
  void Remove(Node& node);

  Backend& backend_;
  Observer* observer_;
  int64_t copied_ = 0;  // bytes, in all
  // With a limit: what may still stay of this run's leaves, and all that does,
  // in order.
  int64_t room_ = 0;
  std::vector<NodePtr> staying_;
};

}  // namespace tl

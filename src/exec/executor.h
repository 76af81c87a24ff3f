// Runs the pending part of a graph on one backend: collects its structure,
// finds or makes the plan, binds memory and numbers, and gives nodes their
// values. The seam to watch it is Observer.
#pragma once

#include <algorithm>
#include <deque>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "exec/backend.h"
#include "exec/binding.h"
#include "exec/observer.h"
#include "exec/plan.h"
#include "exec/residency.h"
#include "exec/structure.h"

namespace tl {

class Executor {
 public:
  explicit Executor(Backend& backend, Observer* observer = nullptr)
      : backend_(backend),
        observer_(observer),
        residency_(backend, observer) {}

  // Afterwards each wanted node has a value. Other nodes that are computed on
  // the way keep theirs if somebody holds them.
  void Run(std::span<Node* const> wanted) { RunAll(wanted, {}); }
  // Computes every node among `pending` that somebody holds.
  void Sweep(std::span<Node* const> pending) { RunAll({}, pending); }

  Backend& backend() { return backend_; }
  // Uninitialised, where runs will want it: in the device's memory, or in that
  // of the host where the device's is limited and runs bring what fits.
  Tensor NewTensor(DType dtype, const Shape& shape);
  // Makes the first operation that turns finite operands into inf or NaN an
  // error. Every result is then read back: slow.
  void set_check_finite(bool check) { check_finite_ = check; }

 private:
  // A plan, what it is for, and its views.
  struct Known {
    Known(std::vector<int64_t> key, uint64_t hash, Plan plan)
        : key(std::move(key)),
          hash(hash),
          plan(std::move(plan)),
          binding(this->plan) {}

    std::vector<int64_t> key;
    uint64_t hash;
    Plan plan;
    Binding binding;
  };
  using KnownPtr = std::shared_ptr<Known>;
  struct Key {
    std::span<const int64_t> words;
    uint64_t hash;

    friend bool operator==(const Key& a, const Key& b) {
      return std::ranges::equal(a.words, b.words);
    }
  };
  struct HashOfKey {
    size_t operator()(const Key& key) const { return key.hash; }
  };

  // Conversions of this run, and of failed ones: a backend may add to their
  // counts until it has waited.
  struct Conversion {
    NodePtr node;
    DecodeCounts counts;
  };

  void RunAll(std::span<Node* const> wanted, std::span<Node* const> visit);
  void ReportLoss(Conversion& conversion);
  void RunPlan(const KnownPtr& known, const Structure& structure);
  KnownPtr GetPlan(const Structure& structure);
  const void* PreparedFor(const Step& step, const Structure& structure,
                          std::span<const View> inputs);
  bool CheckIndices(const Step& step, const Structure& structure) const;
  void RunStep(const Step& step, const Structure& structure,
               const KernelArgs& args);
  bool timed() const { return observer_ && observer_->wants_steps(); }
  void ReportLaps(const Plan& plan);

  Backend& backend_;
  Observer* observer_;
  Residency residency_;
  bool check_finite_ = false;

  // Least recently used last.
  std::list<KnownPtr> plans_;
  std::unordered_map<Key, decltype(plans_)::iterator, HashOfKey> by_key_;
  std::deque<Conversion> conversions_;
  // Memory that one run after the other uses.
  Structure room_;
  Scratch scratch_;
};

}  // namespace tl

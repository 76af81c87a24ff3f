// What stands behind the tensors of one program: the graph that grows, the
// backend that computes it, and what the user is told about the runs. Made once
// by program.h; tensors.h and models.h work on it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "exec/executor.h"
#include "graph/builder.h"
#include "lang/source.h"

namespace tl {

struct TensorOptions {
  std::string device;  // "cpu", "gpu", or empty for the best there is
  int threads = 0;     // 0: as many as the machine gives
  uint32_t seed = 0;
  bool check_finite = false;
  int64_t gpu_memory = 0;  // bytes to place on a GPU at most; 0: what it has
  bool exact = false;  // products on packed weights in float32, not in int8
  Observer* observer = nullptr;  // plans and steps, for `tl plan` and --profile
};

class TensorRuntime final : private Observer {
 public:
  TensorRuntime(const TensorOptions& options, const Sources& sources);

  // The graph's builder, its next nodes marked as written at `where`.
  Builder& At(Span where);
  Builder& builder() { return builder_; }
  // Opens the device when it is first asked for: a program without tensors
  // never does.
  Executor& executor();

  // The bytes of a tensor in host memory, computed now if they are not yet.
  const Tensor& Evaluate(const TensorRef& ref);
  // To be called after reading a tensor: fails if its file shrank meanwhile.
  static void RequireIntact(const Tensor& tensor);
  // Computes what is held once a lot is pending. Called when no intermediate of a
  // lowering is alive: after it, with its result where there is one, and before the
  // first behind a turn of a loop of the program.
  void RunIfMuchIsPending() {
    const bool few = builder_.pending() < left_nodes_ + kNodesOfTurns &&
                     builder_.pending_bytes() < kFewBytes;
    if (!few) RunIfTooMuchIsPending();
  }
  void OnResult(const Node& node) {
    if (node.op() == OpId::IndexSelect) OnSelection(node);
    RunIfMuchIsPending();
  }
  void OnTurn() {
    if (builder_.pending() >= left_nodes_ + kNodesOfTurns) HandOverOfTurn();
  }

  // Called with what converting a stored tensor lost.
  using DecodeListener =
      std::function<void(const Node& conversion, const DecodeCounts&)>;
  void set_decode_listener(DecodeListener listener) {
    decode_listener_ = std::move(listener);
  }

  // Called before a leaf is placed on a device with memory of its own; may fail.
  using PlaceListener = std::function<void(const Node& leaf)>;
  void set_place_listener(PlaceListener listener) {
    place_listener_ = std::move(listener);
  }

  std::string Describe(Location location) override;  // "mlp.tl:7:12"
  // Those in which computations stand that are still pending.
  void AddPendingSources(std::unordered_set<uint32_t>& sources) const;

  // What a session is given at once, or a test. One that fails takes back what
  // it wrote behind the positions of caches (interp/kv_cache.h).
  struct Entry {
    int64_t number = 0;
    bool failed = false;
  };
  using EntryPtr = std::shared_ptr<const Entry>;
  EntryPtr entry() const { return entry_; }
  int64_t last_failed() const { return last_failed_; }
  void EndEntry(bool failed);

 private:
  std::vector<NodePtr> HeldNodes() const;
  void OnSelection(const Node& node);
  void RunIfTooMuchIsPending();
  int64_t PendingNodesLimit() const;
  bool ManyBytesArePending();
  Node& Compute(const TensorRef& ref);
  bool WorksByItself() const;
  void HandOver();
  void HandOverOfTurn();
  void SweepPending();
  const Tensor& OnHost(const Node& node);
  void OnPlan(const Plan& plan, const Structure& structure) override;
  bool wants_steps() const override;
  void OnStep(const Plan& plan, const Step& step, double seconds) override;
  void OnCopy(int64_t bytes, double seconds) override;
  void OnPlace(const Node& leaf) override;
  void OnDecode(const Node& conversion, const DecodeCounts& counts) override;

  const Sources& sources_;
  Observer* observer_;
  DecodeListener decode_listener_;
  PlaceListener place_listener_;
  // Destroyed after the executor: nodes may outlive both.
  std::unique_ptr<Backend> backend_;
  Builder builder_;
  std::optional<Executor> executor_;
  TensorOptions options_;
  std::shared_ptr<Entry> entry_ = std::make_shared<Entry>();
  int64_t last_failed_ = -1;
  int64_t pending_bytes_limit_ = 0;  // 0: not asked for yet
  // A run of this many nodes plans in about a millisecond; waiting longer
  // would only make the graph large. More where nodes that fail stay pending.
  static constexpr int64_t kMaxPendingNodes = 4096;
  // A device that works by itself gets its work while the program makes more of it:
  // little where a loop turns, since what a turn made for itself is no longer held
  // then; else later, so that what belongs together mostly comes together.
  static constexpr int64_t kNodesOfTurns = 48;  // two layers of a language model
  static constexpr int64_t kNodesAhead = 256;
  int64_t left_nodes_ = 0;  // still pending after the last sweep
  bool sweep_failed_ = false;
  // Of results to come: asking the system how many are too many costs more than a
  // small program runs.
  static constexpr int64_t kFewBytes = int64_t{64} << 20;
};

// Opens the backend for a device by name, the best there is for an empty one;
// "gpu" on a machine without one is the CPU, with one warning on standard error.
std::unique_ptr<Backend> OpenDevice(const std::string& device);
void WarnNoGpu();

}  // namespace tl

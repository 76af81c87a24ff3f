// Collects small operations into one launch (steps.h). The backend hands over
// each operation; what is taken runs at the next Flush, in order with all that
// is started after it. Which steps wait for which is found from the addresses
// that they read and write, so that memory which is handed out again counts too.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/inline_vector.h"
#include "cuda/address_set.h"
#include "cuda/elementwise_group.h"
#include "cuda/laps.h"
#include "cuda/steps.h"
#include "cuda/upload.h"
#include "exec/backend.h"

namespace tl::cuda {

class StepList {
 public:
  // A row that is handed on has a number of half a word, of which 0 is none: a test
  // has fewer.
  explicit StepList(uint32_t most_number = 0xffff) : most_number_(most_number) {}

  // False if the card or the operation is not one for a list. Nothing is
  // changed then, and the caller flushes before it starts the operation itself.
  // Its time counts for `lap`, unless it becomes part of another's step.
  bool Add(OpId op, const KernelArgs& args, int lap = 0);

  // The same for bytes that the host has: device memory that they are copied to.
  bool AddBytes(std::byte* to, const std::byte* from, int64_t bytes);

  // Nobody will ask for what is in these bytes after the steps so far.
  void Forget(std::span<const std::byte> bytes);

  void Flush(Laps* laps = nullptr);

  // Stretches of steps, each of which follows the one before; and how many steps there
  // are.
  size_t levels() const { return levels_.size(); }
  size_t steps() const;
  // How often all blocks of the last launch wait for each other: between two levels,
  // unless a row is handed on.
  unsigned waits() const { return waits_; }

 private:
  // Bytes that a step reads or writes. `by_row`: element n is read or written
  // by the thread that has row n, and nobody else.
  struct Range {
    const std::byte* begin;
    const std::byte* end;
    bool by_row = false;

    bool Meets(const Range& other) const {
      return begin < other.end && other.begin < end;
    }
  };
  using Ranges = InlineVector<Range, 6>;  // seldom more

  static constexpr int16_t kAnyBlock = -1;
  // What a step touches that was not there before the launch.
  struct Touched {
    Ranges reads, writes;
    // Of a RowsStep: steps where these are the same have their rows in the same
    // threads.
    int32_t rows = 0;
    int16_t rows_per_round = 0;
    int8_t rows_per_group = 0, first_warp = 0;
    int16_t block = kAnyBlock;  // the only one that runs it
    int lap = 0;
    // Of a token's attention: blocks are handed a part of the row that they need.
    bool takes_part = false;
    bool makes_keys = false;  // of its keys the list writes more than the last

    void NoteCut(const RowsStep& step) {
      rows_per_round = step.rows_per_round;
      rows_per_group = step.rows_per_group;
    }
    // The rows are in other threads than `by_row` counted on.
    void ForgetByRow() {
      for (Range& range : reads) range.by_row = false;
      for (Range& range : writes) range.by_row = false;
    }
  };

  // Which x the blocks have in shared memory.
  struct PreparedX {
    const std::byte* data = nullptr;
    bool int8 = false;
    friend bool operator==(const PreparedX&, const PreparedX&) = default;
  };

  struct Level;
  static Range RangeOf(const View& view);
  // Where a step may be beside one that was added before it: anywhere; behind it, in
  // its level too, since what both touch is touched by the same threads; or in a
  // later level only.
  enum class Order : uint8_t { kAny, kBehind, kAfter };
  static Order OrderOf(const Touched& step, const Touched& before);
  static bool MustFollow(const Touched& step, const Touched& before);
  static bool MustFollow(const Touched& step, const Level& level);
  // Where a step may go in the order of steps.
  struct Position {
    size_t level = 0;
    StepWait wait = StepWait::kNone;
    int16_t block = kAnyBlock;  // where it has to be one
  };
  static bool TouchGroup(const ElementwiseGroup& group, bool by_row,
                         SmallGroup& small, Touched& touched);

  bool AddRows(const KernelArgs& args);
  bool AddElementwise(const KernelArgs& args);
  bool AddRmsNorm(const KernelArgs& args);
  // step_list_copies.cc
  bool AddRope(const KernelArgs& args);
  bool AddAssign(const KernelArgs& args);
  bool AddCopy(const View& from, const View& to);
  bool AddSelect(const KernelArgs& args);
  bool AddArgmax(const KernelArgs& args);
  // step_list_attention.cc
  bool AddAttention(const KernelArgs& args);
  bool AddTokenAttention(const KernelArgs& args, const AttentionProblem& problem);
  bool WritesKeys(const AttentionProblem& problem, int64_t keys) const;
  // step_list_folds.cc
  static void RecognizeEnd(RowsStep& step);
  static bool Meet(const Ranges& ranges, const Range& other);
  bool MeetsHeldNorm(const Touched& touched) const;
  bool FoldAssign(const View& from, const View& to);
  bool FoldRope(const RopeStep& rope, const Touched& touched);
  bool TurnIn(Level& level, size_t maker, const RopeStep& rope,
              const Touched& touched);
  bool Recut(Level& level, size_t at, const StepRecord& record,
             const Touched& more);
  bool JoinRows(const RowsStep& step, const Touched& touched, Level& level);
  void FoldNorm(const View& x, RowsStep& step, Touched& touched);
  void PlaceRows(StepRecord& record, Touched touched, const View& x);
  bool IsWritten(const Range& range) const;
  bool WeightsAreThere() const;
  void NoteWrites(const Ranges& writes);
  void EmitHeldNorm();
  // `alone`: one block runs it. `x`: what it wants in shared memory, if anything.
  Position PositionOf(const Touched& touched, bool alone, const PreparedX& x) const;
  size_t Append(StepRecord& record, Touched touched, bool alone,
                const PreparedX& x);

  // step_list_hand.cc
  unsigned HandRows();  // the times that all blocks wait for each other
  int64_t LongestRow() const;
  void ReadyToHand();
  bool HandOn(size_t level);
  bool HandToRows(Level& maker, Level& taker);
  bool HandToAttention(Level& maker, Level& taker);
  uint32_t* NextHanded();
  static void StandBeside(Level& level);
  static bool CanStandBeside(const Level& level);
  void SetParts(Level& level);
  void DropUnreadStores();
  void DropStores(RowsStep& step, Touched& touched);
  void DropStore(std::byte*& out, int64_t bytes, Touched& touched);
  void NoteUnseen(const Touched& touched);
  bool IsUnseen(const Range& range, const Touched& touched) const;
  bool MustSync(size_t level) const;
  bool MustWait(size_t level) const;

  // A norm that becomes part of the product that comes next, if that reads it.
  struct HeldNorm {
    RmsNormStep step;
    Range read, weights, written;
    int lap = 0;
  };
  // Steps that wait for nothing of each other but within a block; all of them
  // wait for all of the level before.
  struct Level {
    std::vector<StepRecord> records;
    std::vector<Touched> touched;
    PreparedX prepared;    // after its steps so far
    int8_t next_warp = 0;  // of a step with rows

    void Clear() {
      records.clear();
      touched.clear();
      prepared = {};
      next_warp = 0;
    }
  };

  std::vector<Level> levels_;
  std::vector<Level> spare_levels_;  // empty ones that have memory
  std::vector<StepRecord> records_;  // of a Flush
  Upload upload_;
  AddressSet written_;      // by the steps of all levels
  AddressSet last_written_;  // by those of the last launch
  uint64_t last_launch_ = 0;  // WorkCount when that was asked for
  std::optional<HeldNorm> held_norm_;
  int16_t next_block_ = 0;
  int lap_ = 0;  // of what is added
  std::vector<std::shared_ptr<std::byte>> scratch_;  // of the steps collected
  std::shared_ptr<std::byte> counter_;  // where blocks count themselves in
  std::shared_ptr<std::byte> argmax_;   // where its Argmax steps find each other
  int argmax_steps_ = 0;
  std::shared_ptr<std::byte> handed_;  // rows that are handed on, two in turn
  int64_t handed_bytes_ = 0;           // of each
  std::shared_ptr<std::byte> parts_;   // of a token's attention
  int64_t part_bytes_ = 0;
  const uint32_t most_number_;
  uint32_t number_ = 0;  // of what was handed on last
  bool second_ = false;  // which of the two rows that was
  AddressSet forgotten_;  // in the end
  AddressSet dead_;       // of DropUnreadStores
  // What was stored and may not be seen yet by other blocks than the one that did, and
  // that by the threads that have its row.
  struct OwnRows {
    Range range;
    int32_t rows;
  };
  struct Unseen {
    AddressSet bytes;
    std::vector<OwnRows> rows;
    AddressSet bytes_of_rows;  // of all of those: most of what is asked meets none

    void clear() {
      bytes.clear();
      rows.clear();
      bytes_of_rows.clear();
    }
  } unseen_;
  unsigned waits_ = 0;
  unsigned reached_ = 0;  // what the counter is when the next launch begins
};

}  // namespace tl::cuda

// Which rows are handed on from one step to the next (handed_row.cuh), so that
// the blocks need not wait for each other between the two, and what then need
// not be stored.
#include <algorithm>

#include "cuda/dispatch.h"
#include "cuda/run_steps.h"
#include "cuda/runtime.h"
#include "cuda/step_list.h"

namespace tl::cuda {
namespace {

// Of a row that is handed on, all its copies.
int64_t HandedBytes(int64_t elements) {
  constexpr int64_t kLineBytes = kHandedLine * kHandedCopies * sizeof(uint32_t);
  return CeilDiv(elements, kHandedLine) * kLineBytes;
}

// A row that a step hands on if it is asked to: where it is stored as well, or
// null.
struct Row {
  const std::byte* data = nullptr;
  int64_t elements = 0;
};

Row RowOf(const StepRecord& record) {
  if (record.header.kind == StepKind::kTokenAttention) {
    const TokenAttentionStep& step = record.token_attention;
    return {step.out, int64_t{step.kv_heads} * step.group * step.dims};
  }
  if (record.header.kind != StepKind::kRows) return {};
  const RowsStep& step = record.rows;
  // A block without rows could still be at the step before when others are
  // behind it.
  if (step.rows_per_block == 0) return {};
  switch (step.end) {
    case RowsEnd::kAdd:
    case RowsEnd::kMul:
    case RowsEnd::kSilu:
      return {step.part[0].out, step.n};
    case RowsEnd::kGated:
      return {step.part[1].out, step.n / 2};
    default:
      return {};
  }
}

// Whether it can hand on all of its parts, one after the other.
bool HandsParts(const StepRecord& record) {
  if (record.header.kind != StepKind::kRows) return false;
  const RowsStep& step = record.rows;
  return (step.end == RowsEnd::kStore || step.end == RowsEnd::kTurn) &&
         step.result_dtype == DType::F16;
}

int64_t BytesOfRows(const RowsStep& step) { return int64_t{step.n} * step.row_bytes; }

bool HasOwnBlocks(const StepRecord& record) {
  return record.header.kind == StepKind::kRows && record.header.blocks != kAllBlocks;
}

void SetHanded(StepRecord& record, uint32_t* words, uint32_t number) {
  if (record.header.kind == StepKind::kTokenAttention) {
    record.token_attention.handed_out = words;
    record.token_attention.number_out = number;
  } else {
    record.rows.handed_out = words;
    record.rows.number_out = number;
  }
}

}  // namespace

unsigned StepList::HandRows() {
  ReadyToHand();
  std::vector<bool> handed(levels_.size());
  for (size_t l = 0; l < levels_.size(); ++l) {
    handed[l] = l > 0 && HandOn(l);
    StandBeside(levels_[l]);
    SetParts(levels_[l]);
  }
  DropUnreadStores();
  unsigned waits = 0;
  unseen_.clear();
  for (size_t l = 1; l < levels_.size(); ++l) {
    const Level& before = levels_[l - 1];
    for (const Touched& touched : before.touched) NoteUnseen(touched);
    StepHeader& first = levels_[l].records[0].header;
    if (handed[l] && !MustWait(l)) {
      first.wait = MustSync(l) ? StepWait::kBlock : StepWait::kNone;
      for (StepRecord& record : levels_[l].records) {
        if (HasOwnBlocks(record)) record.header.wait = first.wait;
      }
      continue;
    }
    first.wait = StepWait::kGrid;
    unseen_.clear();
    ++waits;
  }
  return waits;
}

// The longest row that a level could take.
int64_t StepList::LongestRow() const {
  int64_t longest = 0;
  for (size_t l = 1; l < levels_.size(); ++l) {
    const StepRecord& taker = levels_[l].records[0];
    int64_t elements = taker.header.kind == StepKind::kRows ? taker.rows.k : 0;
    if (taker.header.kind == StepKind::kTokenAttention) {
      for (const StepRecord& made : levels_[l - 1].records) {
        if (HandsParts(made)) elements += made.rows.n;
      }
    }
    longest = std::max(longest, std::min<int64_t>(elements, RowsStep::kMostColumns));
  }
  return longest;
}

// Room for the rows. Before the numbers of a list would begin again, all words are
// those of no row.
void StepList::ReadyToHand() {
  const int64_t bytes = HandedBytes(LongestRow());
  const bool grows = bytes > handed_bytes_;
  if (!grows && number_ + 2 * levels_.size() <= most_number_) return;
  if (grows) {
    scratch_.push_back(handed_);
    handed_bytes_ = bytes;
    handed_ = AllocateScratch(2 * handed_bytes_);
  }
  if (handed_) Fill(handed_.get(), 0, 2 * handed_bytes_);
  if (parts_) Fill(parts_.get(), 0, part_bytes_);
  number_ = 0;
}

// Where the next row is handed on. Two take turns: who hands on a row has taken
// the one before, so that nobody reads the one before that.
uint32_t* StepList::NextHanded() {
  ++number_;
  second_ = !second_;
  return reinterpret_cast<uint32_t*>(handed_.get() +
                                     (second_ ? handed_bytes_ : 0));
}

// To the steps of a level from those of the level before.
bool StepList::HandOn(size_t level) {
  Level &maker = levels_[level - 1], &taker = levels_[level];
  const StepRecord& first = taker.records[0];
  if (first.header.kind == StepKind::kRows) return HandToRows(maker, taker);
  return first.header.kind == StepKind::kTokenAttention &&
         HandToAttention(maker, taker);
}

// Steps that have one x in shared memory, which the first brings there.
bool StepList::HandToRows(Level& maker, Level& taker) {
  if (maker.records.size() != 1) return false;
  StepRecord& made = maker.records[0];
  RowsStep& step = taker.records[0].rows;
  const Row row = RowOf(made);
  if (!step.fresh_x || step.x != row.data || step.k != row.elements)
    return false;
  for (size_t i = 1; i < taker.records.size(); ++i) {
    const StepRecord& other = taker.records[i];
    if (other.header.kind != StepKind::kRows || other.rows.fresh_x)
      return false;
  }
  uint32_t* const words = NextHanded();
  step.handed_x = words;
  step.number_of_x = number_;
  SetHanded(made, words, number_);
  for (Range& read : taker.touched[0].reads) {
    if (read.begin == row.data && !read.by_row) read = {};
  }
  return true;
}

// Queries, and the key and value of the token, are parts of steps, turned or
// not.
bool StepList::HandToAttention(Level& maker, Level& taker) {
  if (taker.records.size() != 1) return false;
  TokenAttentionStep& step = taker.records[0].token_attention;
  const bool dense = step.k_head == step.dims && step.v_head == step.dims;
  if (!dense && step.kv_heads > 1) return false;
  const int64_t last = step.keys - 1;
  const std::byte* const key = step.k + last * step.k_row * 2;
  const std::byte* const value = step.v + last * step.v_row * 2;
  int32_t begin[3] = {-1, -1, -1};
  int32_t row = 0, parts = 0;
  bool by_all = false;  // each block has rows of one of them
  for (const StepRecord& record : maker.records) {
    if (!HandsParts(record)) return false;
    const RowsStep& made = record.rows;
    by_all |= made.rows_per_block > 0;
    parts += made.parts;
    for (int i = 0; i < made.parts; ++i) {
      const RowsPart& part = made.part[i];
      const int32_t rows = RowsOfPart(made, i);
      const auto is = [&](const std::byte* data, int64_t heads) {
        return rows == heads * step.dims &&
               (part.turns ? part.turned == data || part.turned_also == data
                           : part.out == data || part.also == data);
      };
      if (is(step.q, int64_t{step.kv_heads} * step.group)) begin[0] = row;
      if (is(key, step.kv_heads)) begin[1] = row;
      if (is(value, step.kv_heads)) begin[2] = row;
      row += rows;
    }
  }
  // Of what nobody takes a block could still be at work when others are behind it.
  if (parts != 3 || !by_all || row > RowsStep::kMostColumns) return false;
  for (int32_t at : begin) {
    if (at < 0 || at % kHandedLine != 0) return false;
  }
  step.handed_q = begin[0];
  step.handed_k = begin[1];
  step.handed_v = begin[2];
  uint32_t* words = NextHanded();
  step.handed = words;
  step.number = number_;
  for (StepRecord& record : maker.records) {
    SetHanded(record, words, number_);
    words += int64_t{record.rows.n} * kHandedCopies;
  }
  Touched& touched = taker.touched[0];
  step.wait_for_keys = touched.makes_keys;
  touched.takes_part = true;
  for (Range& read : touched.reads) {
    if (read.begin == step.k) read.end = key;
    if (read.begin == step.v) read.end = value;
    if (read.begin == step.q || read.begin == read.end) read = {};
  }
  return true;
}

// Steps of packed rows that have one x, and are not one since their types differ, get
// blocks of their own, as many as they have bytes: one after the other would take some
// microseconds longer.
void StepList::StandBeside(Level& level) {
  if (!CanStandBeside(level)) return;
  int64_t bytes = 0;
  for (const StepRecord& record : level.records) bytes += BytesOfRows(record.rows);
  std::vector<int> blocks;  // of each
  int left = Card().multiprocessors;
  for (const StepRecord& record : level.records) {
    const int64_t own = BytesOfRows(record.rows);
    blocks.push_back(static_cast<int>((left * own + bytes / 2) / bytes));
    left -= blocks.back();
    bytes -= own;
    // A block without rows is taken for done with the level before.
    if (blocks.back() == 0 || record.rows.n < 2 * blocks.back()) return;
  }
  const RowsStep first = level.records[0].rows;
  int16_t next_block = 0;
  for (size_t i = 0; i < level.records.size(); ++i) {
    RowsStep& step = level.records[i].rows;
    step.header.first_block = next_block;
    step.header.blocks = static_cast<int16_t>(blocks[i]);
    next_block = static_cast<int16_t>(next_block + blocks[i]);
    CutRows(step.n, step.k, step.row_bytes, blocks[i], step);
    level.touched[i].ForgetByRow();
    if (i == 0) continue;
    step.fresh_x = true;
    step.x = first.x;
    step.norm_weight = first.norm_weight;
    step.norm_dtype = first.norm_dtype;
    step.eps = first.eps;
    step.handed_x = first.handed_x;
    step.number_of_x = first.number_of_x;
  }
}

// Where none of the steps counts on what another of them did before it.
bool StepList::CanStandBeside(const Level& level) {
  for (size_t i = 0; i < level.records.size(); ++i) {
    const StepRecord& record = level.records[i];
    if (record.header.kind != StepKind::kRows || !IsPacked(record.rows.w_dtype) ||
        record.rows.fresh_x != (i == 0)) {
      return false;
    }
    for (size_t before = 0; before < i; ++before) {
      const auto order = OrderOf(level.touched[i], level.touched[before]);
      if (order != Order::kAny) return false;
    }
  }
  return level.records.size() > 1;
}

// Where blocks that have splits of one head hand them to each other. Those of
// the levels before are read by then: all blocks have waited for each other, or
// have taken a row that was made of them.
void StepList::SetParts(Level& level) {
  const auto bytes_of = [](const TokenAttentionStep& step) {
    return step.splits == 1 ? 0
                            : int64_t{step.kv_heads} * step.splits *
                                  step.group * kTokenPartWords(step.dims) * 16;
  };
  int64_t bytes = 0;
  for (const StepRecord& record : level.records) {
    if (record.header.kind == StepKind::kTokenAttention) {
      bytes += bytes_of(record.token_attention);
    }
  }
  if (bytes == 0) return;
  if (bytes > part_bytes_) {
    scratch_.push_back(parts_);  // steps of this list may have it
    part_bytes_ = 2 * bytes;
    parts_ = AllocateScratch(part_bytes_);
    Fill(parts_.get(), 0, part_bytes_);
  }
  ++number_;
  std::byte* at = parts_.get();
  for (StepRecord& record : level.records) {
    if (record.header.kind != StepKind::kTokenAttention) continue;
    record.token_attention.parts = at;
    record.token_attention.number_of_parts = number_;
    at += bytes_of(record.token_attention);
  }
}

// What is written over or forgotten before anything reads it need not be stored:
// memory that is handed out again would make steps wait for each other.
void StepList::DropUnreadStores() {
  dead_ = forgotten_;
  for (size_t l = levels_.size(); l-- > 0;) {
    Level& level = levels_[l];
    for (size_t i = level.records.size(); i-- > 0;) {
      StepRecord& record = level.records[i];
      Touched& touched = level.touched[i];
      if (record.header.kind == StepKind::kTokenAttention) {
        DropStore(record.token_attention.out, RowOf(record).elements * 2,
                  touched);
      } else if (record.header.kind == StepKind::kRows) {
        DropStores(record.rows, touched);
      }
      // What is copied may have gaps.
      if (record.header.kind != StepKind::kCopy) {
        for (const Range& write : touched.writes) {
          if (write.begin != write.end) dead_.Insert(write.begin, write.end);
        }
      }
      for (const Range& read : touched.reads) {
        if (read.begin != read.end) dead_.Remove(read.begin, read.end);
      }
    }
  }
}

void StepList::DropStores(RowsStep& step, Touched& touched) {
  DropStore(step.norm_out, int64_t{step.k} * 2, touched);
  if (step.end == RowsEnd::kGroup) return;
  for (int i = 0; i < step.parts; ++i) {
    const int64_t bytes = RowsOfPart(step, i) * ElementBytes(step.result_dtype);
    RowsPart& part = step.part[i];
    for (std::byte** out :
         {&part.out, &part.also, &part.turned, &part.turned_also}) {
      DropStore(*out, bytes, touched);
    }
  }
}

void StepList::DropStore(std::byte*& out, int64_t bytes, Touched& touched) {
  if (out == nullptr || !dead_.Covers(out, out + bytes)) return;
  for (Range& write : touched.writes) {
    if (write.begin == out) write = {};
  }
  out = nullptr;
}

// What a step stored counts as unseen until all blocks have waited for each
// other.
void StepList::NoteUnseen(const Touched& touched) {
  for (const Range& write : touched.writes) {
    if (write.begin == write.end) continue;
    if (!write.by_row) {
      unseen_.bytes.Insert(write.begin, write.end);
      continue;
    }
    const OwnRows own = {write, touched.rows};
    const auto same = [&](const OwnRows& other) {
      return other.rows == own.rows && other.range.begin == write.begin &&
             other.range.end == write.end;
    };
    if (!unseen_.bytes_of_rows.Meets(write.begin, write.end) ||
        std::none_of(unseen_.rows.begin(), unseen_.rows.end(), same)) {
      unseen_.rows.push_back(own);
    }
    unseen_.bytes_of_rows.Insert(write.begin, write.end);
  }
}

bool StepList::IsUnseen(const Range& range, const Touched& touched) const {
  if (range.begin == range.end) return false;
  if (unseen_.bytes.Meets(range.begin, range.end)) return true;
  if (!unseen_.bytes_of_rows.Meets(range.begin, range.end)) return false;
  return std::any_of(
      unseen_.rows.begin(), unseen_.rows.end(), [&](const OwnRows& own) {
        const bool same_block = range.by_row && touched.rows == own.rows &&
                                range.begin == own.range.begin;
        return range.Meets(own.range) && !same_block;
      });
}

// Whether a block must be done with the level before, all its threads, to begin this
// one, which is handed its row. Of the levels before that they are: in each the block
// waits for itself.
bool StepList::MustSync(size_t level) const {
  const Level& before = levels_[level - 1];
  return std::any_of(
      levels_[level].touched.begin(), levels_[level].touched.end(),
      [&](const Touched& mine) { return MustFollow(mine, before); });
}

// Whether a level that was handed its row must wait for all blocks all the
// same. Who has taken the row knows that all blocks have read what they wanted
// of the steps before, but not that he sees what they stored; and who has taken
// a part of it does not know of all blocks.
bool StepList::MustWait(size_t level) const {
  for (const Touched& mine : levels_[level].touched) {
    const auto is_unseen = [&](const Range& range) {
      return IsUnseen(range, mine);
    };
    if (std::any_of(mine.reads.begin(), mine.reads.end(), is_unseen) ||
        std::any_of(mine.writes.begin(), mine.writes.end(), is_unseen)) {
      return true;
    }
    if (!mine.takes_part) continue;
    for (const Touched& before : levels_[level - 1].touched) {
      for (const Range& read : before.reads) {
        for (const Range& write : mine.writes) {
          if (read.Meets(write)) return true;
        }
      }
    }
  }
  return false;
}

}  // namespace tl::cuda

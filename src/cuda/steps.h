// A list of small steps that one launch runs from first to last (run_steps.cu):
// what a language model does for one token is some hundreds of them, each too
// short to be worth a launch of its own. A step is a record of fixed size in
// device memory; the records of a run are copied there together. Made by
// step_list.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/attention_decode.h"
#include "cuda/elementwise_group.h"
#include "exec/backend.h"

namespace tl::cuda {

enum class StepKind : uint8_t {
  kRows,         // matrices with one row of x: a result is a row times x
  kElementwise,  // a SmallGroup on its own
  kRmsNorm,      // of one row
  kRope,
  kCopy,       // strided elements
  kWrite,      // of bytes that the record has
  kSelect,     // of a row of a table
  kArgmax,
  kAttention,  // of few queries
  kTokenAttention,  // of one
};

// What has to have happened before a step: nothing, all before it in its block,
// or all before it.
enum class StepWait : uint8_t { kNone, kBlock, kGrid };

// What runs a step.
enum class StepRun : uint8_t {
#define TL_STEP_RUN(name, ...) k##name,
#include "cuda/step_runs.def"
};

// Read as one word by those who run steps: each takes long to come.
struct alignas(8) StepHeader {
  StepWait wait;
  StepRun run;    // RunOf (run_steps.h), once all else is known
  int16_t first_block;
  StepKind kind;
  int16_t blocks;  // that run it, from the first on
};
inline constexpr int16_t kAllBlocks = INT16_MAX;

// An ElementwiseGroup (elementwise_group.h) that is small enough for a record.
struct SmallGroup {
  static constexpr int kMaxInputs = 6;
  static constexpr int kMaxInstructions = 8;
  static constexpr int kMaxOutputs = 2;
  static constexpr int kMaxAxes = 3;

  struct Input {
    const std::byte* data;
    int32_t strides[kMaxAxes];
    DType dtype;
  };
  struct Output {
    std::byte* data;
    DType dtype;
    uint8_t value;
  };

  uint8_t inputs, handed_over, instructions, outputs, axes;
  int32_t size;
  int32_t dims[kMaxAxes];
  Input input[kMaxInputs];
  ElementwiseGroup::Instruction instruction[kMaxInstructions];
  Output output[kMaxOutputs];
};

// What becomes of a product. From kAdd on all is of F16: common enough to be known
// to the kernel, where reading a program takes longer than a row.
enum class RowsEnd : uint8_t {
  kStore,  // to `out` and `also` of its part
  kTurn,   // the same; of parts that are turned, OpId::Rope of pairs of neighbours too
  kGroup,  // `group` goes on with it
  kAdd,    // `operand`
  kMul,    // by `operand`
  kSilu,
  kGated,  // silu of the first part's, and the second part's multiplied by that
};

// A matrix of a RowsStep, [rows, k], a row after the other.
struct RowsPart {
  const std::byte* w;
  // Null where nothing reads them before they are written over.
  std::byte* out;          // [rows]
  std::byte* also;         // where they go as well
  std::byte* turned;       // where the turned row goes
  std::byte* turned_also;  // where that goes as well
  int32_t end;             // of its rows among those of the step; not of kGated
  bool turns;              // else nothing is turned
};

// Matrices, F16 or packed, are multiplied by an x of k elements of F16. With a norm
// weight it is the norm of x that is multiplied. Products with the same x are parts of
// one step: their n rows are one part's after the other's, or, of kGated, row 2i is
// row i of the first part and row 2i + 1 that of the second. Steps with the same x and
// weights of other types stand beside each other, each in blocks of its own.
struct RowsStep {
  static constexpr int kMaxParts = 3;
  static constexpr int kMostColumns = 14 * 1024;  // the longest x

  StepHeader header;
  DType w_dtype;
  DType result_dtype;
  bool fresh_x;  // else x is that of the step before
  RowsEnd end;
  int8_t parts;
  int32_t n, k;
  int32_t row_bytes;
  // Each of its blocks has rows_per_block rows, the first more_rows rows_more more. They
  // come in tiles of rows_per_tile. Of F16 a warp multiplies rows_per_group of them
  // together, which divides rows_per_tile, and warp first_warp has the first.
  int32_t rows_per_block, more_rows, rows_more;
  int16_t rows_per_tile;
  int8_t rows_per_group, first_warp;
  // Of packed rows all warps have a slice (run_slices.cuh), lanes_of_row of a warp's
  // lanes that of a row, and a lane units_of_lane units of it. Sums are joined after
  // rows_per_round, which are whole tiles.
  int8_t units_of_lane, lanes_of_row;
  int16_t inverse_of_lanes;  // InverseOfLanes (packed_rows.cuh)
  int16_t rows_per_round;
  RowsPart part[kMaxParts];
  const std::byte* x;
  const std::byte* operand;  // [n]
  // Of kTurn: the angles of a head, whose elements are a power of two.
  const std::byte* cos;
  const std::byte* sin;
  int32_t head_elements;
  const std::byte* norm_weight;  // null: none; it comes as a tile of its own
  std::byte* norm_out;           // where the normed x goes as well, or null
  // Where not null: x comes from the step before, and the result goes to the step
  // behind, as rows that are handed on (handed_row.cuh).
  const uint32_t* handed_x;
  uint32_t* handed_out;
  uint32_t number_of_x, number_out;
  float eps;
  DType norm_dtype;
  SmallGroup group;
};

// Of a row that is handed on, line by line, of so many words.
inline constexpr int kHandedCopies = 4;
inline constexpr int kHandedLine = 32;

inline int32_t RowsOfPart(const RowsStep& step, int part) {
  if (step.end == RowsEnd::kGated) return step.n / 2;
  return step.part[part].end - (part == 0 ? 0 : step.part[part - 1].end);
}

struct ElementwiseStep {
  StepHeader header;
  SmallGroup group;
};

struct RmsNormStep {
  StepHeader header;
  int32_t k;
  float eps;
  DType weight_dtype;
  const std::byte* x;
  const std::byte* weight;
  std::byte* out;
};

// x[seq, heads, dim] of F16 or F32, as OpId::Rope.
struct RopeStep {
  StepHeader header;
  DType dtype;
  bool halves;
  int32_t seq, heads, dim;
  const std::byte* x;
  const std::byte* cos;
  const std::byte* sin;
  std::byte* out;
  std::byte* also;  // where the result goes as well, or null
};

struct CopyStep {
  static constexpr int kMaxAxes = 4;

  StepHeader header;
  int32_t element_bytes;
  int32_t size;
  int32_t dims[kMaxAxes];
  int64_t from_strides[kMaxAxes];
  int64_t to_strides[kMaxAxes];
  const std::byte* from;
  std::byte* to;
};

struct WriteStep {
  static constexpr int kMostBytes = 512;

  StepHeader header;
  int32_t words;
  std::byte* to;
  uint32_t word[kMostBytes / sizeof(uint32_t)];
};

// Row *index of a table of F16 or packed rows, as F16. It counts from the end where it
// is negative, and has its place.
struct SelectStep {
  StepHeader header;
  DType dtype;
  int32_t rows, k;
  int64_t row_bytes;
  const std::byte* table;
  const int32_t* index;
  std::byte* out;
};

// Where the largest of `size` elements is, as OpId::Argmax.
struct ArgmaxStep {
  StepHeader header;
  DType dtype;  // F16 or F32
  int32_t size;
  const std::byte* x;
  int32_t* out;
  // Of all warps that look: 0 before and after it.
  unsigned long long* best;
  unsigned* counted;
};

struct AttentionStep {
  StepHeader header;
  DecodeAttention decode;
};

// Of one query, all halves: q[kv_heads, group, dims], and keys [first_key, keys) of
// k and v. Block i has split i % splits of the keys of head i / splits.
struct TokenAttentionStep {
  StepHeader header;
  int32_t dims;  // of a head: 64 or 128
  int32_t kv_heads, group, splits;
  int32_t warps;  // that have keys at once
  int32_t first_key, keys;
  bool wait_for_keys;  // those of before are of steps of this list too
  float scale;  // a score, in powers of two, is dot * scale
  const std::byte *q, *k, *v;
  int64_t k_row, k_head, v_row, v_head;  // strides in elements
  std::byte* out;                        // [kv_heads, group, dims]
  // The row that was handed on (handed_row.cuh) has q from element handed_q on, and the
  // last key and its value from handed_k and handed_v on. Null: all is in memory.
  const uint32_t* handed;
  int32_t handed_q, handed_k, handed_v;
  uint32_t number;
  uint32_t* handed_out;  // where the result is handed on, or null
  uint32_t number_out;
  uint32_t number_of_parts;
  // [kv_heads, splits, group, kTokenPartWords] of 16 bytes; of more than one split.
  std::byte* parts;
};
inline constexpr int kTokenRows = 8;  // the largest group
constexpr int kTokenPartWords(int dims) { return dims / 2 + 1; }
// Of a block's shared memory, without the values that its warps leave.
constexpr int kTokenSharedBytes(int dims) {
  return kTokenRows * (dims + 32) * 2 + 2 * dims * 2 + 2 * 16 * kTokenRows * 4;
}

// Copied by the bulk copy engine: a multiple of 16 bytes.
union alignas(16) StepRecord {
  StepHeader header;
  RowsStep rows;
  ElementwiseStep elementwise;
  RmsNormStep rms_norm;
  RopeStep rope;
  CopyStep copy;
  WriteStep write;
  SelectStep select;
  ArgmaxStep argmax;
  AttentionStep attention;
  TokenAttentionStep token_attention;
};
static_assert(sizeof(StepRecord) <= 624);

// Those of a short list are arguments of its launch: a copy to device memory before it
// would take longer than they do.
inline constexpr int kFewSteps = 4;
struct FewSteps {
  StepRecord at[kFewSteps];
};

}  // namespace tl::cuda

// Lists of random operations on a few rows that are written over and over
// again, against the same operations as kernels of their own: what a list
// folds, drops and does not wait for is not to be seen. Run with
// TL_EMULATED_ORDER too, one block far ahead of the others (emulator.h).
#include <random>

#include "cuda/epilogue.h"
#include "cuda/kernel_test_target.h"
#include "cuda/step_list.h"
#include "cuda/step_list_test.h"

namespace tl::cuda {
namespace {

constexpr int64_t kHeads = 4, kDims = 64, kWidth = kHeads * kDims;
constexpr int kRows = 5, kKeys = 6;
constexpr int kLists = 100, kOperations = 16;

View Dense(std::byte* data, DType dtype, std::initializer_list<int64_t> dims) {
  View view = {data, dtype, static_cast<int>(dims.size()), {}, {}};
  std::copy(dims.begin(), dims.end(), view.dims);
  return DenseView(view, dtype, data);
}

// The rows and caches that operations read and write, random numbers at first.
class Rows {
 public:
  explicit Rows(uint32_t seed) {
    for (int i = 0; i < kRows + 2; ++i) {
      const int64_t rows = i < kRows ? 1 : kKeys;
      arrays_.push_back(RandomArray(DType::F16, {rows, kWidth}, seed + i));
      data_.push_back(memory_.Place(arrays_.back()).data);
    }
  }

  View Row(int i) const { return Dense(data_[i], DType::F16, {1, kWidth}); }
  View Heads(int i) const {
    return Dense(data_[i], DType::F16, {1, kHeads, kDims});
  }
  View Cache(int which) const {
    return Dense(data_[kRows + which], DType::F16, {kKeys, kHeads, kDims});
  }
  // All there is in the end, array by array.
  std::vector<std::vector<double>> Values() const {
    std::vector<std::vector<double>> values;
    for (const TestArray& array : arrays_) {
      memory_.CopyBack(array);
      values.push_back(array.Values());
    }
    return values;
  }

 private:
  TestMemory memory_;
  std::vector<TestArray> arrays_;
  std::vector<std::byte*> data_;
};

// What all operations have in common.
struct Constants {
  TestMemory memory;
  std::vector<Weights> weights;
  TestArray norm = RandomArray(DType::F32, {kWidth}, 91, 0.5, 1.5);
  TestArray cos = RandomArray(DType::F32, {1, kDims / 2}, 92);
  TestArray sin = RandomArray(DType::F32, {1, kDims / 2}, 93);

  Constants() {
    for (DType dtype : {DType::F16, DType::Q8_0, DType::F16, DType::Q4_K}) {
      const auto seed = static_cast<uint32_t>(81 + weights.size());
      weights.emplace_back(dtype, kWidth, kWidth, seed);
    }
  }
};

// An operation on some rows, chosen once and run on two sets of them.
class Operation {
 public:
  Operation(std::mt19937& random, Constants& constants)
      : constants_(constants),
        kind_(static_cast<int>(random() % 7)),
        variant_(static_cast<int>(random() % 4)),
        x_(static_cast<int>(random() % kRows)),
        beside_(static_cast<int>(random() % kRows)),
        y_(static_cast<int>((x_ + 1 + random() % (kRows - 1)) % kRows)),
        key_(static_cast<double>(random() % kKeys)),
        weights_(random() % constants.weights.size()) {}

  // run(op, arguments)
  template <class F>
  void Run(const Rows& rows, F run) const {
    TestMemory& memory = constants_.memory;
    const auto with = [&](OpId op, std::vector<View> inputs, const View& output,
                          std::vector<int64_t> ints = {},
                          std::vector<double> numbers = {},
                          const ElementwiseProgram* program = nullptr) {
      KernelArgs args;
      args.inputs = inputs;
      args.outputs = {&output, 1};
      args.ints = ints;
      args.numbers = numbers;
      args.program = program;
      run(op, args);
    };
    switch (kind_) {
      case 0:
        return with(OpId::RmsNorm,
                    {rows.Row(x_), memory.Place(constants_.norm)}, rows.Row(y_),
                    {}, {1e-5});
      case 1:
        return with(OpId::Rope,
                    {rows.Heads(x_), memory.Place(constants_.cos),
                     memory.Place(constants_.sin)},
                    rows.Heads(y_), {0});
      case 2: {
        const View cache = rows.Cache(variant_ % 2);
        return with(OpId::Assign, {cache, rows.Heads(x_)}, cache,
                    {1, 1, kHeads, 1, kDims, 1}, {key_, 0, 0});
      }
      case 3:
        return with(OpId::Attention,
                    {rows.Heads(x_), rows.Cache(0), rows.Cache(1)},
                    rows.Heads(y_), {1, 0, 0}, {0.125, 0, 0});
      case 4: {  // where x lies, too
        const ElementwiseProgram add = EpilogueOf({OpId::Add});
        return with(OpId::Identity, {rows.Row(x_), rows.Row(beside_)},
                    rows.Row(variant_ == 0 ? x_ : y_), {}, {}, &add);
      }
      default:
        break;
    }
    const View w =
        memory.Place(Permuted(constants_.weights[weights_].array, {1, 0}));
    const ElementwiseProgram silu = ProgramOf(OpId::Silu),
                             add = EpilogueOf({OpId::Add}),
                             mul = EpilogueOf({OpId::Mul});
    const ElementwiseProgram* const programs[] = {nullptr, &silu, &add, &mul};
    std::vector<View> inputs = {rows.Row(x_), w};
    if (variant_ >= 2) inputs.push_back(rows.Row(beside_));
    with(OpId::Matmul, inputs, rows.Row(y_), {}, {}, programs[variant_]);
  }

 private:
  Constants& constants_;
  int kind_, variant_, x_, beside_, y_;
  double key_;
  size_t weights_;
};

void RunAlone(OpId op, const KernelArgs& args) {
  switch (op) {
    case OpId::RmsNorm:
      return RmsNorm(args);
    case OpId::Rope:
      return Rope(args);
    case OpId::Assign:
      return Assign(args);
    case OpId::Attention:
      return Attention(args);
    case OpId::Matmul:
      return Matmul(args);
    default:
      return Elementwise(args);
  }
}

bool AllFinite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](double value) { return std::isfinite(value); });
}

void ExpectClose(const std::vector<double>& got,
                 const std::vector<double>& want) {
  double most = 0;
  for (double value : want) most = std::max(most, std::abs(value));
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_NEAR(got[i], want[i], 0.03 * most + 0.01) << i;
  }
}

TEST(StepListRandomTest, ComputesWhatItsOperationsDoOneByOne) {
  Constants constants;
  StepList list;
  int compared = 0;
  for (uint32_t seed = 1; seed <= kLists; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Rows listed(100 * seed), alone(100 * seed);
    for (int i = 0; i < kOperations; ++i) {
      const Operation operation(random, constants);
      operation.Run(alone, RunAlone);
      operation.Run(listed, [&](OpId op, const KernelArgs& args) {
        if (list.Add(op, args)) return;
        list.Flush();
        RunAlone(op, args);
      });
    }
    list.Flush();
    const auto want = alone.Values(), got = listed.Values();
    for (size_t i = 0; i < want.size(); ++i) {
      if (!AllFinite(want[i])) continue;  // products of products overflow
      SCOPED_TRACE(i < kRows ? "row" : "cache");
      ASSERT_NO_FATAL_FAILURE(ExpectClose(got[i], want[i]));
      ++compared;
    }
  }
  EXPECT_GT(compared, kLists * kRows);
}

}  // namespace
}  // namespace tl::cuda

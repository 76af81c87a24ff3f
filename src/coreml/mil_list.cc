// Lists of tensors, and what a classifier makes of its probabilities.
#include <algorithm>

#include "base/error.h"
#include "coreml/compose.h"
#include "coreml/mil_ops.h"

namespace tl::coreml {
namespace {

// A program is not to make us hold more than this many empty places.
constexpr int64_t kMaxListLength = 1 << 20;

const std::vector<Value>& Items(const MilCall& call) {
  const Value& list = call.Get("ls");
  if (!list.is_list) Fail(ErrorKind::kInput, "input 'ls' is not a list");
  return list.items;
}

const TensorRef& ItemAt(const std::vector<Value>& items, int64_t index) {
  if (index < 0 || index >= static_cast<int64_t>(items.size())) {
    Fail(ErrorKind::kInput, "index {} is out of range for a list of {}", index,
         items.size());
  }
  if (!items[index].is_tensor()) {
    Fail(ErrorKind::kInput, "item {} of a list is read before it is written",
         index);
  }
  return items[index].tensor;
}

void Write(std::vector<Value>& items, int64_t index, TensorRef value) {
  if (index < 0 || index >= kMaxListLength) {
    Fail(ErrorKind::kInput, "index {} is out of range for a list", index);
  }
  if (index >= static_cast<int64_t>(items.size())) items.resize(index + 1);
  items[index] = Value(std::move(value));
}

MilResult MakeList(const MilCall& call) {
  const int64_t length = call.Int("init_length", 1);
  if (length < 0 || length > kMaxListLength) {
    Fail(ErrorKind::kInput, "a list of {} items", length);
  }
  return Value::List(std::vector<Value>(static_cast<size_t>(length)));
}

MilResult ListLength(const MilCall& call) {
  return Ints(call.host(), {static_cast<int64_t>(Items(call).size())}, Shape{});
}

MilResult ListRead(const MilCall& call) {
  return ItemAt(Items(call), call.Int("index"));
}

MilResult ListGather(const MilCall& call) {
  std::vector<TensorRef> rows;
  for (int64_t index : call.Ints("indices")) {
    rows.push_back(Unsqueeze(call.lo(), ItemAt(Items(call), index), 0));
  }
  if (rows.empty()) Fail(ErrorKind::kInput, "no item of a list is gathered");
  return Concat(call.lo(), rows, 0);
}

MilResult ListWrite(const MilCall& call) {
  std::vector<Value> items = Items(call);
  Write(items, call.Int("index"), call.Tensor("value"));
  return Value::List(std::move(items));
}

MilResult ListScatter(const MilCall& call) {
  std::vector<Value> items = Items(call);
  const TensorRef value = call.Tensor("value");
  const std::vector<int64_t> indices = call.Ints("indices");
  if (value->rank() == 0 ||
      value->shape().dim(0) != static_cast<int64_t>(indices.size())) {
    Fail(ErrorKind::kInput, "{} indices for a value of shape {}",
         indices.size(), value->shape().ToString());
  }
  for (size_t i = 0; i < indices.size(); ++i) {
    const TensorRef row =
        Slice(call.lo(), value, 0, static_cast<int64_t>(i), 1);
    Write(items, indices[i], WithoutAxes(call.lo(), row, {0}));
  }
  return Value::List(std::move(items));
}

// The label of the largest probability, and all of them by label.
MilResult Classify(const MilCall& call) {
  const TensorRef probabilities = call.Tensor("probabilities");
  const Value& classes = call.Get("classes");
  const std::vector<double> numbers =
      ReadNumbers(call.host(), probabilities);
  if (!classes.is_list && !classes.is_tensor()) {
    Fail(ErrorKind::kInput, "input 'classes' is neither texts nor ints");
  }
  const size_t count = classes.is_list ? classes.items.size()
                                       : classes.tensor->shape().size();
  if (numbers.empty() || count != numbers.size()) {
    Fail(ErrorKind::kInput, "{} probabilities for {} classes", numbers.size(),
         count);
  }
  const size_t best =
      std::max_element(numbers.begin(), numbers.end()) - numbers.begin();
  const auto name = [&](size_t i) {
    return classes.is_list
               ? classes.items[i]
               : Value(Ints(call.host(),
                            {ReadInts(call.host(), classes.tensor)[i]},
                            Shape{}));
  };
  return std::vector<Value>{name(best),
                            Value::Labelled(classes, probabilities)};
}

constexpr MilOp kOps[] = {
    {"classify", Classify},        {"list_gather", ListGather},
    {"list_length", ListLength},   {"list_read", ListRead},
    {"list_scatter", ListScatter}, {"list_write", ListWrite},
    {"make_list", MakeList},
};

}  // namespace

std::span<const MilOp> ListOps() { return kOps; }

}  // namespace tl::coreml

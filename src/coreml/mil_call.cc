#include "coreml/mil_call.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace tl::coreml {

void FailMissing(std::string_view first, const std::string& kind,
                 std::set<std::string> kinds) {
  kinds.erase(kind);
  std::string others;
  if (!kinds.empty()) {
    const bool one = kinds.size() == 1;
    others = fmt::format(", nor {} {} other kind{}: {}", one ? "does" : "do",
                         kinds.size(), one ? "" : "s", fmt::join(kinds, ", "));
  }
  Fail(ErrorKind::kInput, "predict: {} does not run here{}", first, others);
}

int AxisOf(int64_t axis, int rank) {
  const int64_t positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank) {
    Fail(ErrorKind::kInput, "axis {} of a tensor of rank {}", axis, rank);
  }
  return static_cast<int>(positive);
}

const MilInput* MilCall::Find(std::string_view name) const {
  for (const MilInput& input : inputs_) {
    // Most differ in the first letter, and every operation asks for a dozen.
    if (input.name.starts_with(name[0]) && input.name == name &&
        !input.values.empty()) {
      return &input;
    }
  }
  return nullptr;
}

const Value& MilCall::Get(std::string_view name) const {
  const MilInput* input = Find(name);
  if (!input) Fail(ErrorKind::kInput, "input '{}' is missing", name);
  if (input->values.size() > 1) {
    Fail(ErrorKind::kInput, "input '{}' has {} values; expected one", name,
         input->values.size());
  }
  return *input->values[0];
}

TensorRef MilCall::Tensor(std::string_view name) const {
  const Value& value = Get(name);
  if (!value.is_tensor()) {
    Fail(ErrorKind::kInput, "input '{}' is {}; expected a tensor", name,
         value.is_text   ? "a text"
         : value.is_list ? "a list"
         : value.state   ? "a state"
                         : "without a value");
  }
  return value.tensor;
}

TensorRef MilCall::OptionalTensor(std::string_view name) const {
  return Has(name) ? Tensor(name) : TensorRef();
}

std::vector<TensorRef> MilCall::Tensors(std::string_view name) const {
  const MilInput* input = Find(name);
  if (!input) Fail(ErrorKind::kInput, "input '{}' is missing", name);
  std::vector<TensorRef> tensors;
  const auto add = [&](const Value& value) {
    if (!value.is_tensor()) {
      Fail(ErrorKind::kInput, "input '{}' holds something else than tensors",
           name);
    }
    tensors.push_back(value.tensor);
  };
  for (const Value* value : input->values) {
    if (value->is_list) {
      for (const Value& item : value->items) add(item);
    } else {
      add(*value);
    }
  }
  if (tensors.empty()) Fail(ErrorKind::kInput, "input '{}' is empty", name);
  return tensors;
}

// A list of ints comes as one tensor, or as a tuple of numbers.
std::vector<int64_t> MilCall::Ints(std::string_view name) const {
  std::vector<int64_t> ints;
  for (const TensorRef& tensor : Tensors(name)) {
    for (int64_t value : ReadInts(host_, tensor)) ints.push_back(value);
  }
  return ints;
}

std::vector<int64_t> MilCall::Ints(std::string_view name,
                                   std::vector<int64_t> otherwise) const {
  return Has(name) ? Ints(name) : std::move(otherwise);
}

int64_t MilCall::Int(std::string_view name) const {
  const std::vector<int64_t> ints = ReadInts(host_, Tensor(name));
  if (ints.size() != 1) {
    Fail(ErrorKind::kInput, "input '{}' has {} elements; expected one", name,
         ints.size());
  }
  return ints[0];
}

int64_t MilCall::Int(std::string_view name, int64_t otherwise) const {
  return Has(name) ? Int(name) : otherwise;
}

double MilCall::Number(std::string_view name) const {
  const std::vector<double> numbers = ReadNumbers(host_, Tensor(name));
  if (numbers.size() != 1) {
    Fail(ErrorKind::kInput, "input '{}' has {} elements; expected one", name,
         numbers.size());
  }
  return numbers[0];
}

double MilCall::Number(std::string_view name, double otherwise) const {
  return Has(name) ? Number(name) : otherwise;
}

bool MilCall::Flag(std::string_view name, bool otherwise) const {
  return Has(name) ? Number(name) != 0 : otherwise;
}

std::string_view MilCall::Text(std::string_view name,
                               std::string_view otherwise) const {
  if (!Has(name)) return otherwise;
  const Value& value = Get(name);
  if (!value.is_text) {
    Fail(ErrorKind::kInput, "input '{}' is not a text", name);
  }
  return value.text;
}

int MilCall::Axis(std::string_view name, int rank, int64_t otherwise) const {
  return AxisOf(Int(name, otherwise), rank);
}

std::vector<int> MilCall::Axes(std::string_view name, int rank) const {
  std::vector<int> axes(Has(name) ? 0 : rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (!Has(name)) return axes;
  for (int64_t axis : Ints(name)) {
    axes.push_back(AxisOf(axis, rank));
    if (std::count(axes.begin(), axes.end(), axes.back()) > 1) {
      Fail(ErrorKind::kInput, "axis {} stands twice in input '{}'", axis, name);
    }
  }
  return axes;
}

}  // namespace tl::coreml

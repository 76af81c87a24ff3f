#include "interp/tensor_operand.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/half.h"
#include "ops/build.h"

namespace tl {
namespace {

// What a nested list holds, found in one walk.
struct ListContent {
  Shape shape;
  bool ints = true;
  bool tensors = false;
};

[[noreturn]] void FailKind(const Value& value) {
  Fail(ErrorKind::kProgram, "a {} cannot be used as a tensor",
       TypeName(value));
}

// Sizes along the first elements; Fill() finds rows that differ.
void Walk(const Value& value, ListContent& content) {
  if (value.is_list()) {
    const std::vector<Value>& items = value.as_list();
    content.shape.Append(static_cast<int64_t>(items.size()));
    if (items.empty()) content.ints = false;
    const Shape outside = content.shape;
    for (size_t i = 0; i < items.size(); ++i) {
      Shape& shape = content.shape;
      const Shape first = shape;
      shape = outside;
      Walk(items[i], content);
      if (i > 0 && !(shape == first)) {
        Fail(ErrorKind::kProgram,
             "a nested list is ragged: element {} has shape {}, the ones "
             "before it {}",
             i, Shape(shape.dims().subspan(outside.rank())).ToString(),
             Shape(first.dims().subspan(outside.rank())).ToString());
      }
    }
  } else if (value.is_tensor()) {
    content.tensors = true;
    for (Dim dim : AsTensor(value)->shape()) content.shape.Append(dim);
  } else if (value.is_int()) {
    content.ints = content.ints &&
                   value.as_int() == static_cast<int32_t>(value.as_int());
  } else if (value.is_float()) {
    content.ints = false;
  } else if (!value.is_bool()) {
    FailKind(value);
  }
}

// Writes the numbers of a nested list in order, each rounded once.
class Filler {
 public:
  explicit Filler(Tensor& tensor) : tensor_(tensor) {}

  void Fill(const Value& value) {
    if (value.is_list()) {
      for (const Value& item : value.as_list()) Fill(item);
    } else if (value.is_bool()) {
      Put(value.as_bool());
    } else {
      Put(value.as_number());
    }
  }

 private:
  void Put(double number) {
    const int64_t i = next_++;
    if (tensor_.dtype == DType::F16) {
      tensor_.as<uint16_t>()[i] = DoubleToHalf(number);
    } else if (tensor_.dtype == DType::F32) {
      tensor_.as<float>()[i] = static_cast<float>(number);
    } else {
      tensor_.as<int32_t>()[i] = ToInt32(number);
    }
  }

  static int32_t ToInt32(double number) {
    if (!(std::abs(number) <= std::numeric_limits<int32_t>::max())) {
      Fail(ErrorKind::kProgram, "{} does not fit int32", number);
    }
    return static_cast<int32_t>(number);
  }

  Tensor& tensor_;
  int64_t next_ = 0;
};

// A list that holds tensors: its items along a new first axis.
TensorRef StackItems(Builder& builder, const Value& list, DType list_type) {
  std::vector<TensorRef> rows;
  for (const Value& item : list.as_list()) {
    rows.push_back(Unsqueeze(builder, OperandOf(builder, item, list_type), 0));
  }
  return Concat(builder, std::move(rows), 0);
}

TensorRef ListTensor(Builder& builder, const Value& list,
                     const ListContent& content, DType dtype) {
  Tensor tensor = MakeTensor(dtype, content.shape);
  Filler(tensor).Fill(list);
  return builder.Leaf(std::move(tensor));
}

}  // namespace

DType ToDType(ElementType element) {
  switch (element) {
    case ElementType::kFloat16:
      return DType::F16;
    case ElementType::kFloat32:
      return DType::F32;
    case ElementType::kInt32:
      return DType::I32;
  }
  return DType::F16;
}

DType ListTypeBeside(std::span<const Value> values) {
  for (const Value& value : values) {
    if (value.is_tensor() && AsTensor(value)->dtype() == DType::F32 &&
        AsTensor(value)->rank() > 0) {
      return DType::F32;
    }
  }
  return DType::F16;
}

TensorRef OperandOf(Builder& builder, const Value& value, DType list_type) {
  if (value.is_tensor()) return AsTensor(value);
  if (value.is_float()) return builder.Number(value.as_float(), DType::F32);
  if (value.is_bool()) return builder.Number(value.as_bool(), DType::I32);
  if (value.is_int()) {
    const int64_t number = value.as_int();
    return builder.Number(static_cast<double>(number),
                          number == static_cast<int32_t>(number) ? DType::I32
                                                                 : DType::F32);
  }
  if (!value.is_list()) FailKind(value);
  ListContent content;
  Walk(value, content);
  if (content.tensors) return StackItems(builder, value, list_type);
  return ListTensor(builder, value, content,
                    content.ints ? DType::I32 : list_type);
}

TensorRef TensorOfType(Builder& builder, const Value& value, DType dtype) {
  if (value.is_list()) {
    ListContent content;
    Walk(value, content);
    if (!content.tensors) return ListTensor(builder, value, content, dtype);
  }
  return Cast(builder, OperandOf(builder, value, dtype), dtype);
}

void SetArgument(Argument& argument, const Value& value) {
  using Kind = Argument::Kind;
  switch (value.tag()) {
    case Tag::kNone:
    case Tag::kUnset:
      return;  // as it is
    case Tag::kBool:
      argument.kind = Kind::kBool;
      argument.integer = value.as_bool();
      return;
    case Tag::kInt:
      argument.kind = Kind::kInt;
      argument.integer = value.as_int();
      return;
    case Tag::kFloat:
      argument.kind = Kind::kFloat;
      argument.real = value.as_float();
      return;
    case Tag::kString:
      argument.kind = Kind::kString;
      argument.text = value.as_string();
      return;
    case Tag::kTensor:
      argument.kind = Kind::kTensor;
      argument.tensor = AsTensor(value);
      return;
    case Tag::kList:
      argument.kind = Kind::kList;
      for (const Value& item : value.as_list()) {
        SetArgument(argument.list.emplace_back(), item);
      }
      return;
    case Tag::kBuiltin:
    case Tag::kMap:
    case Tag::kRange:
    case Tag::kFunction:
    case Tag::kCell:
    case Tag::kHandle:
      break;
  }
  FailKind(value);
}

}  // namespace tl

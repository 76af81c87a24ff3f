#include "interp/tensors.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/half.h"
#include "base/inline_vector.h"
#include "interp/kv_cache.h"
#include "interp/operators.h"
#include "interp/plain_numbers.h"
#include "interp/signatures.h"
#include "interp/tensor_operand.h"
#include "interp/tensor_print.h"
#include "interp/tensor_runtime.h"
#include "lang/binary_op.h"
#include "ops/build.h"
#include "ops/functions.h"
#include "ops/indexing.h"

namespace tl {
namespace {

// An int of a subscript: a number, or a tensor of one element.
int64_t SubscriptInt(const Value& value, Tensors& tensors) {
  const Value number = value.is_tensor() ? tensors.Number(value) : value;
  if (number.is_int()) return number.as_int();
  if (number.is_float() && number.as_float() == std::floor(number.as_float())) {
    return static_cast<int64_t>(number.as_float());
  }
  Fail(ErrorKind::kProgram, "a {} cannot be an index", TypeName(value));
}

std::optional<int64_t> Bound(const Value* value, Tensors& tensors) {
  if (!value || value->is_none()) return std::nullopt;
  return SubscriptInt(*value, tensors);
}

IndexItem ItemOf(const SubscriptValue& subscript, Builder& builder,
                 Tensors& tensors) {
  IndexItem item;
  switch (subscript.kind) {
    case SubscriptKind::kEllipsis:
      item.kind = IndexItem::Kind::kEllipsis;
      break;
    case SubscriptKind::kSlice:
      item.begin = Bound(subscript.begin, tensors);
      item.end = Bound(subscript.end, tensors);
      item.step = Bound(subscript.step, tensors).value_or(1);
      break;
    case SubscriptKind::kIndex: {
      const Value& index = *subscript.index;
      const bool tensor = index.is_tensor() && AsTensor(index)->rank() > 0;
      if (tensor || index.is_list()) {
        item.kind = IndexItem::Kind::kTensor;
        item.tensor = OperandOf(builder, index, DType::F16);
        if (Info(AsNode(item.tensor)->op()).domain == Domain::kCompare) {
          Fail(ErrorKind::kProgram,
               "a comparison cannot be an index; where(mask, x, y) selects by "
               "a mask");
        }
      } else {
        item.kind = IndexItem::Kind::kInt;
        item.integer = SubscriptInt(index, tensors);
      }
      break;
    }
  }
  return item;
}

std::vector<IndexItem> ItemsOf(std::span<const SubscriptValue> subscripts,
                               Builder& builder, Tensors& tensors) {
  std::vector<IndexItem> items;
  for (const SubscriptValue& subscript : subscripts) {
    items.push_back(ItemOf(subscript, builder, tensors));
  }
  return items;
}

Value ShapeValue(const Shape& shape) {
  std::vector<Value> sizes;
  for (Dim dim : shape) sizes.push_back(Value::Int(dim.value()));
  return Value::List(std::move(sizes));
}

// A float32 number with as few digits as read back the same float32.
std::string ShortestFloat(float value) {
  if (std::isnan(value)) return "nan";  // whatever its sign
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

Value Tensors::Result(TensorRef ref) {
  Value value = MakeTensorValue(std::move(ref));
  runtime_.OnResult(*AsNode(AsTensor(value)));
  return value;
}

namespace {

constexpr size_t kUsualArguments = 10;

void RequireCache(const Value& value, std::string_view function,
                  std::string_view parameter) {
  const bool cache = value.is_handle() &&
                     value.as_handle().type() == TypeKind::kCache;
  if (cache || value.is_none() || value.is_unset()) return;
  Fail(ErrorKind::kProgram, "{}: '{}' is {}; expected a cache", function,
       parameter, Describe(value));
}

// attention(q, k, v, .., cache: c): k and v go into the cache, and what it
// holds by then takes their place.
FunctionResult LowerWithCache(const FunctionInfo& info,
                              std::span<const std::string_view> names,
                              std::span<Argument> arguments, CacheValue& value,
                              Builder& builder) {
  KvCache& cache = value.cache();
  const int64_t layer = value.OnlyLayer();
  const KvCache::Layer before = cache.layer(layer);
  try {
    cache.Append(layer, arguments[1].tensor, arguments[2].tensor);
    const KvCache::Layer& held = cache.layer(layer);
    arguments[1].tensor = held.keys;
    arguments[2].tensor = held.values;
    arguments.back() = Argument::Int(held.length);
    return info.lower(tl::Call(info.name, names, arguments, builder));
  } catch (...) {
    cache.Restore(layer, before);
    throw;
  }
}

}  // namespace

// lower(lowering) is what the call becomes, on the builder or on a record of it.
template <class F>
Value Tensors::Known(uint16_t function, std::span<const Value> arguments,
                     Builder& builder, F lower) {
  if (TensorRef known = known_calls_.Find(function, arguments, builder)) {
    return Result(std::move(known));
  }
  if (!known_calls_.IsWanted()) return ResultOf(lower(builder));
  std::optional<KnownCalls::Record> record(std::in_place, function, arguments,
                                           builder);
  FunctionResult result = lower(*record);
  if (!result.is_list) known_calls_.Keep(std::move(*record), result.tensors[0]);
  record.reset();  // no intermediate may look held
  return ResultOf(std::move(result));
}

Value Tensors::ResultOf(FunctionResult result) {
  if (!result.is_list) return Result(std::move(result.tensors[0]));
  std::vector<Value> list;
  for (TensorRef& tensor : result.tensors) {
    list.push_back(MakeTensorValue(std::move(tensor)));
  }
  return Value::List(std::move(list));
}

void Tensors::EndTurn() {
  if (!turned_) return;
  turned_ = false;
  runtime_.OnTurn();
}

Value Tensors::Call(uint16_t function, std::span<const Value> given,
                    Span where) {
  EndTurn();
  const FunctionInfo& info = Functions()[function];
  std::span<const Value> arguments = given;
  InlineVector<Value, kUsualArguments> expanded;
  Builder& builder = runtime_.At(where);
  if (info.name == "rope") {
    expanded = given;
    rope_.Expand(expanded, builder);
    arguments = expanded;
  }
  if (std::optional<Value> number =
          CallOnNumbers(*this, info, arguments, where)) {
    return *number;
  }
  return Known(function, arguments, builder, [&](Lowering& lowering) {
    return Lower(info, arguments, lowering, runtime_.At(where));
  });
}

// `lowering` is the builder, or works on it.
FunctionResult Tensors::Lower(const FunctionInfo& info,
                              std::span<const Value> arguments,
                              Lowering& lowering, Builder& builder) {
  const Signature& signature = SignatureOf(info);
  InlineVector<Argument, kUsualArguments> converted;
  InlineVector<std::string_view, kUsualArguments> names;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const SignatureParameter& parameter = signature.parameters[i];
    names.push_back(parameter.name);
    const Value& value = arguments[i];
    const bool number = parameter.type != TypeKind::kTensor &&
                        parameter.type != TypeKind::kAny && value.is_tensor() &&
                        AsTensor(value)->shape().size() == 1;
    if (parameter.type == TypeKind::kTensor && value.is_list()) {
      converted.push_back(
          Argument::Of(OperandOf(builder, value, ListTypeBeside(arguments))));
    } else if (parameter.type == TypeKind::kCache) {
      RequireCache(value, info.name, parameter.name);
      converted.push_back(Argument::None());  // see LowerWithCache
    } else if (number) {
      SetArgument(converted.emplace_back(), Number(value));
    } else {
      SetArgument(converted.emplace_back(), value);
    }
  }
  const bool cached = !arguments.empty() && arguments.back().is_handle();
  if (cached) {
    auto& cache = static_cast<CacheValue&>(arguments.back().as_handle());
    return LowerWithCache(info, names, converted, cache, builder);
  }
  return info.lower(tl::Call(info.name, names, converted, lowering));
}

void Tensors::WriteAt(Span where) { runtime_.At(where); }

Value Tensors::Binary(BinaryOp op, const Value& a, const Value& b, Span where) {
  EndTurn();
  Builder& builder = runtime_.At(where);
  if (a.is_tensor() && b.is_tensor()) {
    const auto number = static_cast<uint16_t>(Functions().size() + size_t(op));
    return Known(number, std::array{a, b}, builder, [&](Lowering& lowering) {
      return op == BinaryOp::kMatmul
                 ? MatrixProduct(lowering, AsTensor(a), AsTensor(b))
                 : tl::Binary(lowering, OperationOf(op), AsTensor(a), AsTensor(b));
    });
  }
  const DType list_type =
      std::max(ListTypeBeside({&a, 1}), ListTypeBeside({&b, 1}),
               [](DType x, DType y) { return x != DType::F32 && y == DType::F32; });
  TensorRef x = OperandOf(builder, a, list_type);
  TensorRef y = OperandOf(builder, b, list_type);
  if (op == BinaryOp::kMatmul) {
    return Result(MatrixProduct(builder, std::move(x), std::move(y)));
  }
  return Result(tl::Binary(builder, OperationOf(op), x, y));
}

Value Tensors::Negate(const Value& x, Span where) {
  Builder& builder = runtime_.At(where);
  return Result(
      Unary(builder, OpId::Neg, OperandOf(builder, x, DType::F16)));
}

Value Tensors::Index(const Value& x, std::span<const SubscriptValue> subscripts,
                     Span where) {
  Builder& builder = runtime_.At(where);
  const std::vector<IndexItem> items = ItemsOf(subscripts, builder, *this);
  return Result(
      tl::Index(builder, OperandOf(builder, x, DType::F16), items));
}

void Tensors::Assign(Value& x, std::span<const SubscriptValue> subscripts,
                     const Value& part, Span where) {
  Builder& builder = runtime_.At(where);
  const std::vector<IndexItem> items = ItemsOf(subscripts, builder, *this);
  const DType dtype = AsTensor(x)->dtype();
  TensorRef assigned = AssignIndex(builder, AsTensor(x), items,
                                   OperandOf(builder, part, dtype));
  // From here on only the new node holds the old one: it may write in place.
  x = MakeTensorValue(std::move(assigned));
  runtime_.RunIfMuchIsPending();
}

Value Tensors::Row(const Value& x, int64_t row, Span where) {
  const Value index = Value::Int(row);
  SubscriptValue subscript;
  subscript.index = &index;
  return Index(x, {&subscript, 1}, where);
}

Value Tensors::Convert(const Value& x, Span where) {
  return Result(OperandOf(runtime_.At(where), x, DType::F16));
}

Value Tensors::Make(const Value& x, ElementType element, Span where) {
  return Result(TensorOfType(runtime_.At(where), x, ToDType(element)));
}

Value Tensors::Zeros(std::span<const int64_t> shape, ElementType element,
                     Span where) {
  return Fill(Value::Int(0), shape, element, where);
}

Value Tensors::Fill(const Value& x, std::span<const int64_t> shape,
                    ElementType element, Span where) {
  Builder& builder = runtime_.At(where);
  TensorRef tensor = TensorOfType(builder, x, ToDType(element));
  const Shape wanted = Shape::Of(shape);
  if (tensor->rank() == 1 && wanted.rank() != 1 &&
      tensor->shape().size() == wanted.size()) {
    return Result(Reshape(builder, tensor, wanted));
  }
  if (tensor->rank() > 0 && !(tensor->shape() == wanted)) {
    Fail(ErrorKind::kProgram, "the initialiser has shape {}; declared {}",
         tensor->shape().ToString(), wanted.ToString());
  }
  return Result(BroadcastTo(builder, tensor, wanted));
}

Value Tensors::Number(const Value& x) {
  const TensorRef& ref = AsTensor(x);
  if (ref->shape().size() != 1) {
    Fail(ErrorKind::kProgram,
         "a tensor of shape {} is not one number; any(x) or all(x) ask about "
         "its elements",
         ref->shape().ToString());
  }
  const Tensor& tensor = runtime_.Evaluate(ref);
  const double value = ElementAt(tensor, 0);
  TensorRuntime::RequireIntact(tensor);
  return ref->dtype() == DType::I32
             ? Value::Int(static_cast<int64_t>(value))
             : Value::Float(value);
}

FloatRows Tensors::Floats(const Value& x, Span where) {
  FloatRows rows;
  rows.tensor = x.is_tensor() ? AsTensor(x)
                              : OperandOf(runtime_.At(where), x, DType::F32);
  const Tensor& tensor = runtime_.Evaluate(rows.tensor);
  rows.shape = tensor.shape;
  const auto count = static_cast<size_t>(tensor.shape.size());
  if (tensor.dtype == DType::F32) {
    rows.values = {tensor.as<float>(), count};
  } else {
    rows.converted.resize(count);
    for (size_t i = 0; i < count; ++i) {
      rows.converted[i] = static_cast<float>(ElementAt(tensor, i));
    }
    rows.values = rows.converted;
  }
  TensorRuntime::RequireIntact(tensor);
  return rows;
}

uint64_t Tensors::NextSeed() { return runtime_.builder().NextSeed(); }

std::vector<double> Tensors::Numbers(const Value& x) {
  const Tensor& tensor = runtime_.Evaluate(AsTensor(x));
  std::vector<double> numbers(static_cast<size_t>(tensor.shape.size()));
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = ElementAt(tensor, static_cast<int64_t>(i));
  }
  TensorRuntime::RequireIntact(tensor);
  return numbers;
}

Value Tensors::FindMember(const Value& x, std::string_view name, Span where) {
  const TensorRef& ref = AsTensor(x);
  if (name == "shape") return ShapeValue(ref->shape());
  if (name == "rank") return Value::Int(ref->rank());
  if (name == "size") return Value::Int(ref->shape().size());
  if (name == "dtype") return Value::String(std::string(LanguageName(ref->dtype())));
  if (name == "device") {
    const bool cpu = runtime_.executor().backend().device() == Device::kCpu;
    return Value::String(cpu ? "cpu" : "gpu");
  }
  if (name == "T") {
    if (ref->rank() != 2) {
      Fail(ErrorKind::kProgram,
           ".T needs a matrix; shape {} has rank {} (transpose, permute)",
           ref->shape().ToString(), ref->rank());
    }
    return Result(SwapAxes(runtime_.At(where), ref, 0, 1));
  }
  return Value::Unset();
}

std::string Tensors::Format(const Value& x, int column) {
  const Tensor& tensor = runtime_.Evaluate(AsTensor(x));
  if (tensor.shape.rank() > 0) {
    std::string text = FormatTensor(tensor, column);
    TensorRuntime::RequireIntact(tensor);
    return text;
  }
  if (tensor.dtype == DType::I32) {
    return std::to_string(*tensor.as<int32_t>());
  }
  return ShortestFloat(static_cast<float>(ElementAt(tensor, 0)));
}

}  // namespace tl

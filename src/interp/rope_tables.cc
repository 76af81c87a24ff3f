#include "interp/rope_tables.h"

#include <algorithm>

#include "base/error.h"
#include "interp/map.h"
#include "interp/tensors.h"
#include "ops/build.h"

namespace tl {
namespace {

Value TensorOf(const std::vector<float>& numbers, Builder& builder) {
  Tensor tensor = MakeTensor(
      DType::F32, Shape{static_cast<int64_t>(numbers.size())});
  std::copy(numbers.begin(), numbers.end(), tensor.as<float>());
  return MakeTensorValue(builder.Leaf(std::move(tensor)));
}

const Value& FieldOf(const Value& map, std::string_view name) {
  const Value* value = map.as_map().Find(name);
  if (value == nullptr) {
    Fail(ErrorKind::kProgram,
         "rope: the settings have no '{}'; expected m.config.rope", name);
  }
  return *value;
}

double NumberOf(const Value& map, std::string_view name) {
  const Value& value = FieldOf(map, name);
  if (value.is_int()) return double(value.as_int());
  if (value.is_float()) return value.as_float();
  Fail(ErrorKind::kProgram, "rope: '{}' of the settings is a {}; expected a "
       "number", name, TypeName(value));
}

}  // namespace

Value RopeMap(const std::optional<RopeSettings>& settings, Builder& builder) {
  if (!settings) return Value();
  Value map = Value::Map();
  const auto put = [&](const char* name, Value value) {
    map.OwnMap().At(Value::String(name)) = std::move(value);
  };
  put("type", Value::String(settings->type));
  put("base", Value::Float(settings->base));
  put("style", Value::String(settings->halves ? "half" : "pairs"));
  put("scale", Value::Float(settings->scale));
  put("frequencies", TensorOf(settings->frequencies, builder));
  if (!settings->long_frequencies.empty()) {
    put("long_frequencies", TensorOf(settings->long_frequencies, builder));
    put("original_context", Value::Int(settings->original_context));
  }
  return map;
}

void RopeTables::Expand(std::span<Value> arguments, Builder& builder) {
  if (arguments.size() < 5 || !arguments[2].is_map() ||
      !arguments[0].is_tensor()) {
    return;
  }
  const Value settings = arguments[2];
  const TensorRef& x = AsTensor(arguments[0]);
  if (!arguments[1].is_int() || x->rank() < 3) {
    Fail(ErrorKind::kProgram,
         "rope: x of shape {} at a position that is a {}; expected [.., seq, "
         "heads, dim] and an int", x->shape().ToString(),
         TypeName(arguments[1]));
  }
  const int64_t position = arguments[1].as_int();
  const int64_t count = x->shape()[x->rank() - 3].value();
  const bool is_long =
      settings.as_map().Find("long_frequencies") != nullptr &&
      double(position + count) > NumberOf(settings, "original_context");
  const Value& chosen =
      FieldOf(settings, is_long ? "long_frequencies" : "frequencies");
  if (!chosen.is_tensor()) {
    Fail(ErrorKind::kProgram, "rope: 'frequencies' of the settings is a {}; "
         "expected a tensor", TypeName(chosen));
  }
  const TensorRef& frequencies = AsTensor(chosen);
  const double scale = NumberOf(settings, "scale");
  if (frequencies_ != frequencies || position_ != position || count_ != count ||
      scale_ != scale) {
    // A number of the program is no step of its own.
    const TensorRef places =
        count == 1 ? BroadcastTo(builder, builder.Number(double(position), DType::F32),
                                 Shape{1, 1})
                   : Unsqueeze(builder,
                               Iota(builder, Dim(count), DType::F32, double(position)),
                               1);
    const TensorRef angle = Binary(builder, OpId::Mul, places, frequencies);
    const TensorRef factor = builder.Number(scale, DType::F32);
    cos_ = Binary(builder, OpId::Mul, Unary(builder, OpId::Cos, angle), factor);
    sin_ = Binary(builder, OpId::Mul, Unary(builder, OpId::Sin, angle), factor);
    frequencies_ = frequencies;
    position_ = position;
    count_ = count;
    scale_ = scale;
  }
  arguments[1] = MakeTensorValue(cos_);
  arguments[2] = MakeTensorValue(sin_);
  arguments[4] = FieldOf(settings, "style");
}

}  // namespace tl

#include "interp/known_calls.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/hash.h"
#include "interp/tensors.h"

namespace tl {
namespace {

// 0 where there is one element, which a lowering may read.
uint64_t HashOf(const TensorType& type) {
  uint64_t hash = uint64_t(type.dtype) << 8 | uint64_t(type.shape.rank());
  bool one = true;
  for (Dim dim : type.shape) {
    hash = HashWord(hash, static_cast<uint64_t>(dim.value()));
    one = one && dim.value() == 1;
  }
  return one ? 0 : hash | 1;
}

// Of a number; 0 of what has none.
int64_t BitsOf(const Value& value) {
  if (value.is_float()) return std::bit_cast<int64_t>(value.as_float());
  if (value.is_bool()) return value.as_bool();
  return value.is_int() ? value.as_int() : 0;
}

// 0 for arguments that no call is remembered for.
uint64_t HashOf(uint16_t function, std::span<const Value> arguments) {
  uint64_t hash = function;
  for (const Value& value : arguments) {
    uint64_t word = 0;
    switch (value.tag()) {
      case Tag::kNone:
      case Tag::kUnset:
        break;
      case Tag::kBool:
      case Tag::kInt:
      case Tag::kFloat:
        word = static_cast<uint64_t>(BitsOf(value));
        break;
      case Tag::kString:
        word = HashText(value.as_string());
        break;
      case Tag::kTensor:
        word = HashOf(AsTensor(value)->type());
        if (word == 0) return 0;
        break;
      default:
        return 0;
    }
    hash = HashWord(hash, word ^ uint64_t(value.tag()) << 56);
  }
  return hash | 1;
}

bool Same(const TensorType& a, const TensorType& b) {
  return a.dtype == b.dtype && a.shape == b.shape;
}

}  // namespace

KnownCalls::Seen KnownCalls::Seen::Of(const Value& value) {
  Seen seen = {value.tag(), 0, {}, {}};
  if (value.is_tensor()) {
    seen.type = AsTensor(value)->type();
  } else if (value.is_string()) {
    seen.text = value.as_string();
  } else {
    seen.bits = BitsOf(value);
  }
  return seen;
}

bool KnownCalls::Seen::Is(const Value& value) const {
  if (value.tag() != tag) return false;
  if (value.is_tensor()) return Same(AsTensor(value)->type(), type);
  return value.is_string() ? value.as_string() == text : BitsOf(value) == bits;
}

bool KnownCalls::Call::Is(uint16_t other, std::span<const Value> given) const {
  return function == other &&
         std::ranges::equal(arguments, given, [](const Seen& seen, const Value& value) {
           return seen.Is(value);
         });
}

TensorRef KnownCalls::Call::Make(std::span<const Value> given,
                                 Builder& builder) const {
  InlineVector<TensorRef, 8> made;
  const auto tensor_of = [&](Source source) -> const TensorRef& {
    return source.kind == Source::Kind::kArgument ? AsTensor(given[source.index])
                                                  : made[source.index];
  };
  for (const Operation& operation : operations) {
    if (operation.op == OpId::kNumber) {
      made.push_back(builder.Number(operation.attributes.numbers[0],
                                    operation.type.dtype));
      continue;
    }
    Node::Inputs inputs;
    for (Source source : operation.inputs) {
      inputs.push_back(AsNode(tensor_of(source)));
    }
    made.push_back(builder.MakeOf(operation.op, operation.type, std::move(inputs),
                                  Attributes(operation.attributes)));
  }
  return tensor_of(result);
}

TensorRef KnownCalls::Find(uint16_t function, std::span<const Value> arguments,
                           Builder& builder) {
  const uint64_t hash = HashOf(function, arguments);
  wanted_ = false;
  if (hash == 0) return nullptr;
  place_ = &places_[hash / 2 % kPlaces];
  if (place_->hash != hash) {
    place_->hash = hash;
    return nullptr;
  }
  if (place_->call && place_->call->Is(function, arguments)) {
    return place_->call->Make(arguments, builder);
  }
  wanted_ = true;
  return nullptr;
}

void KnownCalls::Keep(Record record, const TensorRef& result) {
  record.call_->result = record.SourceOf(result);
  if (!record.fits_ || record.call_->operations.size() > kMostOperations) return;
  place_->call = std::move(record.call_);
}

KnownCalls::Record::Record(uint16_t function, std::span<const Value> arguments,
                           Builder& builder)
    : builder_(builder), call_(std::make_unique<Call>()) {
  call_->function = function;
  for (const Value& value : arguments) {
    call_->arguments.push_back(Seen::Of(value));
    given_.push_back(value.is_tensor() ? AsTensor(value) : nullptr);
    // Which of two that are the same was meant could not be told.
    const auto same = std::count(given_.begin(), given_.end(), given_.back());
    fits_ = fits_ && (given_.back() == nullptr || same == 1);
  }
}

KnownCalls::Source KnownCalls::Record::SourceOf(const TensorRef& tensor) {
  const auto find = [&](const std::vector<TensorRef>& among, Source::Kind kind) {
    const auto at = std::find(among.begin(), among.end(), tensor);
    return std::pair(at != among.end(),
                     Source{kind, static_cast<uint8_t>(at - among.begin())});
  };
  const auto [is_made, made] = find(made_, Source::Kind::kOperation);
  if (is_made) return made;
  const auto [is_given, given] = find(given_, Source::Kind::kArgument);
  fits_ = fits_ && is_given;
  return given;
}

TensorRef KnownCalls::Record::Number(double value, DType dtype) {
  made_.push_back(builder_.Number(value, dtype));
  call_->operations.push_back(
      {OpId::kNumber, made_.back()->type(), {{}, {value}}, {}});
  return made_.back();
}

// Another one each time.
uint64_t KnownCalls::Record::NextSeed() {
  fits_ = false;
  return builder_.NextSeed();
}

// Of what the lowering made: no argument has one element.
double KnownCalls::Record::Read(const TensorRef& tensor) {
  fits_ = false;
  return builder_.Read(tensor);
}

TensorRef KnownCalls::Record::Make(OpId op, std::span<const TensorRef> inputs,
                                   Attributes attributes) {
  Operation operation = {op, {}, attributes, {}};
  for (const TensorRef& input : inputs) operation.inputs.push_back(SourceOf(input));
  TensorRef made = builder_.Apply(op, inputs, std::move(attributes));
  operation.type = made->type();
  call_->operations.push_back(std::move(operation));
  made_.push_back(made);
  return made;
}

}  // namespace tl

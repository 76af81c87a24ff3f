// Drawing tokens: the row is computed, the choice is text/sampler.h.
#include <limits>

#include "base/error.h"
#include "base/philox.h"
#include "interp/builtins.h"
#include "interp/grammar_value.h"
#include "interp/map.h"
#include "interp/operators.h"
#include "interp/vm.h"
#include "text/sampler.h"

namespace tl::builtins {
namespace {

bool Given(const Value& value) { return !value.is_unset() && !value.is_none(); }

// Where nothing is given, that of the next random tensor.
uint64_t SeedOf(Vm& vm, const Value& seed, std::string_view what) {
  if (!Given(seed)) return vm.tensors().NextSeed();
  return static_cast<uint64_t>(WholeNumber(vm.tensors(), seed, what));
}

// The one row of logits [n], [1, n], ...
FloatRows OneRow(Vm& vm, const Value& logits, std::string_view function) {
  FloatRows rows = vm.tensors().Floats(logits, vm.where());
  const Shape& shape = rows.shape;
  if (shape.rank() == 0 || shape.dim(shape.rank() - 1) != shape.size()) {
    Fail(ErrorKind::kProgram,
         "{}: 'logits' of shape {}; expected one row, such as [n] or [1, n]",
         function, shape.ToString());
  }
  return rows;
}

std::vector<int64_t> HistoryOf(Vm& vm, const Value& history) {
  std::vector<int64_t> tokens;
  if (!Given(history)) return tokens;
  if (history.is_list()) {
    for (const Value& item : history.as_list()) {
      tokens.push_back(WholeNumber(vm.tensors(), item,
                                   "sample_token: a token of 'history'"));
    }
    return tokens;
  }
  if (!history.is_tensor()) {
    Fail(ErrorKind::kProgram,
         "sample_token: 'history' is {}; expected a list of tokens",
         Describe(history));
  }
  for (float token : vm.tensors().Floats(history, vm.where()).values) {
    tokens.push_back(static_cast<int64_t>(token));
  }
  return tokens;
}

std::vector<std::pair<int64_t, double>> BiasOf(Vm& vm, const Value& bias) {
  std::vector<std::pair<int64_t, double>> pairs;
  if (!Given(bias)) return pairs;
  if (!bias.is_map()) {
    Fail(ErrorKind::kProgram,
         "sample_token: 'logit_bias' is {}; expected a map from tokens to "
         "numbers",
         Describe(bias));
  }
  for (const MapEntry& entry : bias.as_map().entries()) {
    pairs.emplace_back(WholeNumber(vm.tensors(), entry.key,
                                   "sample_token: a 'logit_bias' key"),
                       RealNumber(vm.tensors(), entry.value,
                                  "sample_token: a 'logit_bias' value"));
  }
  return pairs;
}

// Without the logits of what the grammar does not allow.
std::vector<float> Masked(std::span<const float> logits,
                          TokenGrammar& grammar) {
  constexpr float kCut = -std::numeric_limits<float>::infinity();
  const std::vector<bool>& allowed = grammar.Allowed();
  std::vector<float> masked(logits.begin(), logits.end());
  bool some = false;
  for (size_t token = 0; token < masked.size(); ++token) {
    if (token >= allowed.size() || !allowed[token]) masked[token] = kCut;
    some |= masked[token] != kCut;
  }
  if (!some) {
    Fail(ErrorKind::kProgram,
         "sample_token: none of {} tokens may follow {} in the grammar{}",
         logits.size(), grammar.Tail(),
         grammar.may_end() ? ", whose text may end here; no token ends it"
                           : "");
  }
  return masked;
}

}  // namespace

Value Sample(Vm& vm, std::span<Value> arguments) {
  const FloatRows rows = vm.tensors().Floats(arguments[0], vm.where());
  const Shape& shape = rows.shape;
  if (shape.rank() != 1 && shape.rank() != 2) {
    Fail(ErrorKind::kProgram,
         "sample: 'probs' of shape {}; expected one row or a matrix of rows",
         shape.ToString());
  }
  const uint64_t seed = SeedOf(vm, arguments[1], "sample: 'seed'");
  const auto n = static_cast<size_t>(shape.dim(shape.rank() - 1));
  if (shape.rank() == 1) {
    return Value::Int(DrawFrom(rows.values, UniformAt(0, seed)));
  }
  std::vector<Value> tokens;
  for (int64_t row = 0; row < shape.dim(0); ++row) {
    const std::span<const float> probs = rows.values.subspan(row * n, n);
    tokens.push_back(Value::Int(DrawFrom(probs, UniformAt(row, seed))));
  }
  return vm.tensors().Make(Value::List(std::move(tokens)), ElementType::kInt32,
                           vm.where());
}

Value SampleToken(Vm& vm, std::span<Value> arguments) {
  const auto real = [&](size_t i, std::string_view what) {
    return RealNumber(vm.tensors(), arguments[i], what);
  };
  SamplerOptions options;
  options.temperature = real(1, "sample_token: 'temperature'");
  options.top_k =
      WholeNumber(vm.tensors(), arguments[2], "sample_token: 'top_k'");
  options.top_p = real(3, "sample_token: 'top_p'");
  options.min_p = real(4, "sample_token: 'min_p'");
  options.typical_p = real(5, "sample_token: 'typical_p'");
  options.repetition_penalty = real(6, "sample_token: 'repetition_penalty'");
  options.presence_penalty = real(7, "sample_token: 'presence_penalty'");
  options.frequency_penalty = real(8, "sample_token: 'frequency_penalty'");
  const std::vector<int64_t> history = HistoryOf(vm, arguments[9]);
  options.bias = BiasOf(vm, arguments[10]);
  Sampler sampler(std::move(options));
  const FloatRows row = OneRow(vm, arguments[0], "sample_token");
  const uint64_t seed = SeedOf(vm, arguments[11], "sample_token: 'seed'");
  const float uniform = UniformAt(0, seed);
  if (!Given(arguments[12])) {
    return Value::Int(sampler.Draw(row.values, history, uniform));
  }
  TokenGrammar& grammar = GrammarArgument(arguments[12], "sample_token");
  const int64_t token =
      sampler.Draw(Masked(row.values, grammar), history, uniform);
  grammar.Push(token);
  return Value::Int(token);
}

Value TemperatureSample(Vm& vm, std::span<Value> arguments) {
  SamplerOptions options;
  options.temperature =
      RealNumber(vm.tensors(), arguments[1], "temperature_sample: 't'");
  Sampler sampler(std::move(options));
  const FloatRows row = OneRow(vm, arguments[0], "temperature_sample");
  const uint64_t seed = SeedOf(vm, arguments[2], "temperature_sample: 'seed'");
  return Value::Int(sampler.Draw(row.values, {}, UniformAt(0, seed)));
}

}  // namespace tl::builtins

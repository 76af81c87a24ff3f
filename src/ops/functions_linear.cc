// Linear algebra.
#include <algorithm>
#include <map>
#include <string>

#include "base/error.h"
#include "ops/build.h"
#include "ops/functions.h"

namespace tl::functions {
namespace {

void RequireVectors(const Call& call, const TensorRef& a, const TensorRef& b) {
  if (a->rank() != 1 || b->rank() != 1) {
    Fail(ErrorKind::kProgram, "{}: expected two vectors; got shapes {} and {}",
         call.function(), a->shape().ToString(), b->shape().ToString());
  }
}

// One operand of einsum, its axes named by letters.
struct Named {
  TensorRef tensor;
  std::string letters;
};

// "ij,jk->ik" taken apart. Without "->" the result has the letters that occur
// once, in alphabetical order, as NumPy does.
struct Equation {
  std::vector<std::string> operands;
  std::string result;
};

Equation ParseEquation(std::string_view text, size_t tensors) {
  std::string equation;
  std::copy_if(text.begin(), text.end(), std::back_inserter(equation),
               [](char c) { return c != ' '; });
  Equation parsed;
  const size_t arrow = equation.find("->");
  std::string left = equation.substr(0, arrow);
  for (size_t begin = 0; begin <= left.size();) {
    const size_t comma = std::min(left.find(',', begin), left.size());
    parsed.operands.push_back(left.substr(begin, comma - begin));
    begin = comma + 1;
  }
  std::map<char, int> count;
  for (const std::string& operand : parsed.operands) {
    for (char c : operand) ++count[c];
  }
  for (const auto& [c, n] : count) {
    if (!std::isalpha(static_cast<unsigned char>(c))) {
      Fail(ErrorKind::kProgram,
           "einsum: '{}' in \"{}\" is not a letter", c, text);
    }
    if (arrow == std::string::npos && n == 1) parsed.result += c;
  }
  if (arrow != std::string::npos) parsed.result = equation.substr(arrow + 2);
  for (char c : parsed.result) {
    const bool once = std::count(parsed.result.begin(), parsed.result.end(), c) == 1;
    if (!count.count(c) || !once) {
      Fail(ErrorKind::kProgram,
           "einsum: '{}' of the result of \"{}\" must stand once there and in "
           "an operand", c, text);
    }
  }
  if (parsed.operands.size() != tensors) {
    Fail(ErrorKind::kProgram, "einsum: \"{}\" names {} operands; {} given",
         text, parsed.operands.size(), tensors);
  }
  return parsed;
}

// "ii" names a diagonal: every n+1st element of the two axes as one.
Named TakeDiagonals(Lowering& lo, Named a) {
  for (size_t first = 0; first < a.letters.size(); ++first) {
    const size_t second = a.letters.find(a.letters[first], first + 1);
    if (second == std::string::npos) continue;
    const Dim n = a.tensor->shape()[int(first)];
    if (Clash(n, a.tensor->shape()[int(second)])) {
      Fail(ErrorKind::kProgram, "einsum: '{}' is {} and {} in one operand",
           a.letters[first], n.ToString(),
           a.tensor->shape()[int(second)].ToString());
    }
    if (!n.known()) throw NotKnown{};
    std::vector<int> order;
    std::string letters;
    for (size_t i = 0; i < a.letters.size(); ++i) {
      if (i == first || i == second) continue;
      order.push_back(static_cast<int>(i));
      letters += a.letters[i];
    }
    order.insert(order.end(), {int(first), int(second)});
    const TensorRef last_two = Permute(lo, a.tensor, order);
    Shape flat = last_two->shape();
    flat.Erase(flat.rank() - 1);
    const int axis = flat.rank() - 1;
    flat[axis] = n * n;
    a.tensor = Slice(lo, Reshape(lo, last_two, flat), axis, 0, n, n.value() + 1);
    a.letters = letters + a.letters[first];
    first = size_t(-1);  // positions have moved: look again from the start
  }
  return a;
}

// Sums away letters of `a` that nothing else needs.
Named SumOut(Lowering& lo, Named a, std::string_view needed) {
  std::vector<int> axes;
  std::string kept;
  for (size_t i = 0; i < a.letters.size(); ++i) {
    if (needed.find(a.letters[i]) == std::string_view::npos) {
      axes.push_back(static_cast<int>(i));
    } else {
      kept += a.letters[i];
    }
  }
  if (axes.empty()) return a;
  const DType dtype = a.tensor->dtype();
  TensorRef sum = Reduce(lo, OpId::Sum, a.tensor, axes,
                         {{int64_t(dtype)}, {}});
  return {sum, kept};
}

// The axes of `a` in the order of `letters`.
TensorRef Ordered(Lowering& lo, const Named& a, std::string_view letters) {
  std::vector<int> axes;
  for (char c : letters) axes.push_back(static_cast<int>(a.letters.find(c)));
  return Permute(lo, a.tensor, axes);
}

std::string Common(std::string_view a, std::string_view b, bool in_b) {
  std::string result;
  for (char c : a) {
    if ((b.find(c) != std::string_view::npos) == in_b) result += c;
  }
  return result;
}

// Contracts two operands as one batched matrix product:
// [batch, rows, inner] @ [batch, inner, columns].
Named Contract(Lowering& lo, const Named& a, const Named& b,
               std::string_view needed) {
  const std::string shared = Common(a.letters, b.letters, true);
  const std::string batch = Common(shared, needed, true);
  const std::string inner = Common(shared, needed, false);
  const std::string rows = Common(a.letters, b.letters, false);
  const std::string columns = Common(b.letters, a.letters, false);
  std::map<char, Dim> dims;
  for (const Named* operand : {&a, &b}) {
    for (size_t i = 0; i < operand->letters.size(); ++i) {
      const Dim dim = operand->tensor->shape()[static_cast<int>(i)];
      const auto [it, fresh] = dims.try_emplace(operand->letters[i], dim);
      if (!fresh && Clash(it->second, dim)) {
        Fail(ErrorKind::kProgram, "einsum: '{}' is {} in one operand and {} in "
             "another", it->first, it->second.ToString(), dim.ToString());
      }
    }
  }
  const auto product = [&](std::string_view letters) {
    Dim result = 1;
    for (char c : letters) result = result * dims.at(c);
    return result;
  };
  const Dim n = product(batch), m = product(rows), k = product(inner),
            p = product(columns);
  const TensorRef left = Reshape(lo, Ordered(lo, a, batch + rows + inner),
                                 Shape{n, m, k});
  const TensorRef right = Reshape(lo, Ordered(lo, b, batch + inner + columns),
                                  Shape{n, k, p});
  Named result{MatrixProduct(lo, left, right), batch + rows + columns};
  Shape shape;
  for (char c : result.letters) shape.Append(dims.at(c));
  result.tensor = Reshape(lo, result.tensor, shape);
  return result;
}

// What operands that meet in float32 are rounded to at the end.
DType ResultType(std::initializer_list<TensorRef> operands) {
  const bool wide =
      std::any_of(operands.begin(), operands.end(), [](const TensorRef& x) {
        return x->dtype() == DType::F32 && x->rank() > 0;
      });
  return wide ? DType::F32 : DType::F16;
}

}  // namespace

FunctionResult Matmul(const Call& call) {
  return MatrixProduct(call.lowering(), call.Tensor(0), call.Tensor(1));
}

FunctionResult Dot(const Call& call) {
  const TensorRef a = call.Tensor(0), b = call.Tensor(1);
  RequireVectors(call, a, b);
  return MatrixProduct(call.lowering(), a, b);
}

FunctionResult Outer(const Call& call) {
  const TensorRef a = call.Tensor(0), b = call.Tensor(1);
  RequireVectors(call, a, b);
  return Binary(call.lowering(), OpId::Mul,
                Unsqueeze(call.lowering(), a, 1), b);
}

// Left to right, one pair at a time.
FunctionResult Einsum(const Call& call) {
  Lowering& lo = call.lowering();
  const std::vector<TensorRef> tensors = call.Tensors(1);
  const Equation equation = ParseEquation(call.Text(0), tensors.size());
  std::vector<Named> operands;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string& letters = equation.operands[i];
    if (static_cast<int>(letters.size()) != tensors[i]->rank()) {
      Fail(ErrorKind::kProgram, "einsum: \"{}\" names {} axes of a tensor of "
           "shape {}", letters, letters.size(), tensors[i]->shape().ToString());
    }
    operands.push_back(TakeDiagonals(lo, {tensors[i], letters}));
  }
  const auto needed = [&](size_t first_other) {
    std::string letters = equation.result;
    for (size_t i = first_other; i < operands.size(); ++i) {
      letters += operands[i].letters;
    }
    return letters;
  };
  Named result = SumOut(lo, operands[0], needed(1));
  for (size_t i = 1; i < operands.size(); ++i) {
    const Named next = SumOut(lo, operands[i], result.letters + needed(i + 1));
    result = Contract(lo, result, next, needed(i + 1));
    result = SumOut(lo, result, needed(i + 1));
  }
  return Ordered(lo, result, equation.result);
}

FunctionResult Linear(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = call.Tensor(0), w = call.Tensor(1);
  if (w->rank() != 2) {
    Fail(ErrorKind::kProgram, "linear: 'w' of shape {} is not [out, in]",
         w->shape().ToString());
  }
  if (x->rank() > 0 && Clash(x->shape()[x->rank() - 1], w->shape()[1])) {
    Fail(ErrorKind::kProgram,
         "linear: x of shape {} has {} features; 'w' {} takes {}",
         x->shape().ToString(), x->shape()[x->rank() - 1].ToString(),
         w->shape().ToString(), w->shape()[1].ToString());
  }
  const TensorRef columns = SwapAxes(lo, w, 0, 1);
  const bool exact = call.has(3) && call.Flag(3);
  const auto packed = exact ? PackedProduct::kFloat32 : PackedProduct::kUsual;
  if (!call.has(2) && packed == PackedProduct::kUsual) {
    return MatrixProduct(lo, x, columns);
  }
  const TensorRef product = ExactProduct(lo, x, columns, packed);
  if (!call.has(2)) return Cast(lo, product, ResultType({x, w}));
  const TensorRef bias = call.Tensor(2);
  return Cast(lo, Binary(lo, OpId::Add, product, bias),
              ResultType({x, w, bias}));
}

FunctionResult FusedGeluLinear(const Call& call) {
  Lowering& lo = call.lowering();
  const TensorRef x = call.Tensor(0), w = call.Tensor(1), bias = call.Tensor(2);
  const TensorRef y = Binary(lo, OpId::Add, ExactProduct(lo, x, w), bias);
  return Cast(lo, Unary(lo, OpId::Gelu, y), ResultType({x, w, bias}));
}

}  // namespace tl::functions

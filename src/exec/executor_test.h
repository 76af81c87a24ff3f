// What tests of the planner and the executor share: a backend that is slow,
// obvious and records what it was asked to do. Only *_test.cc files include it.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "exec/executor.h"
#include "graph/builder.h"
#include "ops/build.h"
#include "tensor/packed.h"

namespace tl {

inline int64_t OffsetOf(const View& view, int64_t linear) {
  int64_t offset = 0;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    offset += linear % view.dims[axis] * view.strides[axis];
    linear /= view.dims[axis];
  }
  return offset;
}

inline double ReadPacked(const View& view, int64_t i) {
  const PackedType& type = PackedTypeOf(view.dtype);
  float values[kMaxBlock];
  DecodeBlock(type, view.data + i / type.block * type.bytes, values);
  return values[i % type.block];
}

inline double Read(const View& view, int64_t linear) {
  const int64_t i = OffsetOf(view, linear);
  if (IsPacked(view.dtype)) return ReadPacked(view, i);
  if (view.dtype == DType::F16) return HalfToFloat(view.as<uint16_t>()[i]);
  if (view.dtype == DType::F32) return view.as<float>()[i];
  return view.as<int32_t>()[i];
}

inline void Write(const View& view, int64_t linear, double value) {
  const int64_t i = OffsetOf(view, linear);
  if (view.dtype == DType::F16) {
    view.as<uint16_t>()[i] = DoubleToHalf(value);
  } else if (view.dtype == DType::F32) {
    view.as<float>()[i] = static_cast<float>(value);
  } else {
    view.as<int32_t>()[i] = static_cast<int32_t>(value);
  }
}

inline double Round(double value, DType dtype) {
  if (dtype == DType::F16) return HalfToFloat(DoubleToHalf(value));
  return dtype == DType::F32 ? static_cast<float>(value) : std::trunc(value);
}

inline double Compute(OpId op, double x, double y) {
  switch (op) {
    case OpId::Identity:
      return x;
    case OpId::Add:
      return x + y;
    case OpId::Mul:
      return x * y;
    case OpId::Neg:
      return -x;
    default:
      ADD_FAILURE() << "unexpected op " << Info(op).name;
      return NAN;
  }
}

class SlowBackend final : public Backend {
 public:
  std::string_view name() const override { return "slow"; }
  Device device() const override { return where; }
  std::shared_ptr<std::byte> Allocate(int64_t bytes) override {
    ++allocations;
    return AllocateHost(bytes);
  }
  DeviceMemory Memory() const override { return memory; }
  bool has_memory_limit() const override { return limited; }
  void CopyIn(std::byte* to, const std::byte* from, int64_t n) override {
    std::memcpy(to, from, n);
  }
  void CopyAllIn(std::span<const HostBytes> all) override {
    copied_in.push_back(all.size());
    Backend::CopyAllIn(all);
  }
  void CopyOut(std::byte* to, const std::byte* from, int64_t n,
               Ticket ticket) override {
    copied_out.push_back(ticket);
    std::memcpy(to, from, n);
  }
  Ticket Submit(std::shared_ptr<const void>, std::span<const std::byte>) override {
    return ++submitted;
  }
  void Wait() override {}

  int PreparedOperand(OpId op) const override {
    return op == OpId::Matmul ? prepared_operand : -1;
  }
  // Its number, counted from 1.
  std::shared_ptr<const void> Prepare(OpId, const View&,
                                      std::span<const int64_t>) override {
    return std::make_shared<int>(++preparations);
  }

  void Run(OpId op, const KernelArgs& args) override {
    ran.push_back(op);
    prepared.push_back(
        args.prepared ? *static_cast<const int*>(args.prepared) : 0);
    instructions.push_back(
        args.program ? static_cast<int>(args.program->instructions.size()) : 0);
    if (op == OpId::Identity) {
      for (int64_t i = 0; i < args.outputs[0].size(); ++i) {
        RunProgram(args, args.inputs, i, {});
      }
    } else if (op == OpId::Matmul) {
      weights.push_back(args.inputs[1].dtype);
      exact.push_back(args.ints.size() > 1 && args.ints[1] == 1);
      Matmul(args);
    } else if (op == OpId::Assign) {
      Assign(args);
    } else if (op == OpId::Argmax) {
      Argmax(args);
    } else if (op == OpId::IndexSelect) {
      indices_checked.push_back(args.indices_checked);
      for (int64_t i = 0; i < args.outputs[0].size(); ++i) {
        Write(args.outputs[0], i,
              Read(args.inputs[0], static_cast<int64_t>(Read(args.inputs[1], i))));
      }
    } else if (op == OpId::Decode) {
      for (int64_t i = 0; i < args.outputs[0].size(); ++i) {
        Write(args.outputs[0], i, Read(args.inputs[0], i));
      }
    } else {
      ADD_FAILURE() << "unexpected kernel " << Info(op).name;
    }
  }

  std::vector<OpId> ran;
  std::vector<int> instructions;
  std::vector<DType> weights;  // of the products
  std::vector<bool> exact;
  std::vector<bool> indices_checked;
  Device where = Device::kCpu;
  DeviceMemory memory;
  bool limited = false;
  std::vector<size_t> copied_in;  // how many at once
  int allocations = 0;
  int prepared_operand = -1;  // of products
  int preparations = 0;
  Ticket submitted = 0;
  std::vector<Ticket> copied_out;
  std::vector<int> prepared;  // which of them a kernel got, or 0

 private:
  static void RunProgram(const KernelArgs& args, std::span<const View> operands,
                         int64_t i, std::vector<double> values) {
    for (const View& view : operands) values.push_back(Read(view, i));
    for (const auto& instruction : args.program->instructions) {
      const double x = values[instruction.operand[0]];
      const double y = values[instruction.operand[1]];
      values.push_back(Round(Compute(instruction.op, x, y), instruction.dtype));
    }
    for (size_t k = 0; k < args.outputs.size(); ++k) {
      Write(args.outputs[k], i, values[args.program->outputs[k]]);
    }
  }

  static void Matmul(const KernelArgs& args) {
    const View &x = args.inputs[0], &w = args.inputs[1];
    const int64_t m = x.dims[0], k = x.dims[1], n = w.dims[1];
    for (int64_t i = 0; i < m * n; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < k; ++j) {
        sum += Read(x, i / n * k + j) * Read(w, j * n + i % n);
      }
      sum = Round(sum, args.dtype);
      if (args.program) {
        RunProgram(args, args.inputs.subspan(2), i, {sum});
      } else {
        Write(args.outputs[0], i, sum);
      }
    }
  }

  // Of a vector.
  static void Argmax(const KernelArgs& args) {
    int64_t best = 0;
    for (int64_t i = 1; i < args.inputs[0].size(); ++i) {
      if (Read(args.inputs[0], i) > Read(args.inputs[0], best)) best = i;
    }
    Write(args.outputs[0], 0, static_cast<double>(best));
  }

  // Rank 1: ints count, step; numbers start.
  static void Assign(const KernelArgs& args) {
    const View &x = args.inputs[0], &v = args.inputs[1], &y = args.outputs[0];
    for (int64_t i = 0; i < y.size(); ++i) Write(y, i, Read(x, i));
    for (int64_t i = 0; i < args.ints[0]; ++i) {
      Write(y, int64_t(args.numbers[0]) + i * args.ints[1], Read(v, i));
    }
  }
};

class PlanCounter final : public Observer {
 public:
  void OnPlan(const Plan&, const Structure&) override { ++plans; }
  std::string Describe(Location) override { return "here"; }
  int plans = 0;
};

class ExecutorTest : public testing::Test {
 protected:
  NodePtr Make(std::initializer_list<int64_t> dims,
               std::initializer_list<double> values) {
    Tensor tensor = MakeTensor(
        DType::F16, Shape::Of(std::span(dims.begin(), dims.size())));
    int i = 0;
    for (double value : values) {
      tensor.as<uint16_t>()[i++] = DoubleToHalf(value);
    }
    return builder_.Leaf(std::move(tensor));
  }

  std::vector<double> Values(const TensorRef& x) {
    Node* node = static_cast<Node*>(x.get());
    if (!node->has_value()) executor_.Run(std::array{node});
    std::vector<double> values;
    for (int64_t i = 0; i < node->value().size(); ++i) {
      const Tensor& t = node->value();
      values.push_back(t.dtype == DType::F16
                           ? HalfToFloat(t.as<uint16_t>()[i])
                           : t.as<float>()[i]);
    }
    return values;
  }

  TensorRef Add(const TensorRef& x, const TensorRef& y) {
    return Binary(builder_, OpId::Add, x, y);
  }
  TensorRef Mul(const TensorRef& x, const TensorRef& y) {
    return Binary(builder_, OpId::Mul, x, y);
  }
  TensorRef Number(double x) { return builder_.Number(x, DType::F32); }

  using Doubles = std::vector<double>;
  using Ops = std::vector<OpId>;

  Builder builder_;
  SlowBackend backend_;
  PlanCounter observer_;
  Executor executor_{backend_, &observer_};
};

}  // namespace tl

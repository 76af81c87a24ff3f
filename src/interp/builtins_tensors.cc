// Tensors from values, and conversions that name a type or a device.
#include <optional>

#include "base/error.h"
#include "interp/builtins.h"
#include "interp/operators.h"
#include "interp/tensor_runtime.h"
#include "interp/vm.h"

namespace tl::builtins {
namespace {

std::optional<ElementType> FindElement(std::string_view name) {
  if (name == "float16") return ElementType::kFloat16;
  if (name == "float32") return ElementType::kFloat32;
  if (name == "int32") return ElementType::kInt32;
  return std::nullopt;
}

bool IsDevice(std::string_view name) { return name == "cpu" || name == "gpu"; }

// A program computes on one device; asking for a GPU that it does not have is a
// warning, once.
void Place(Vm& vm, std::string_view device) {
  if (device != "gpu") return;
  if (vm.tensors().runtime().executor().backend().device() != Device::kGpu) {
    WarnNoGpu();
  }
}

std::string_view Word(const Value& value, std::string_view what) {
  if (!value.is_string()) {
    Fail(ErrorKind::kProgram,
         "{} is {}; expected float16, float32, int32, cpu "
         "or gpu",
         what, Describe(value));
  }
  return value.as_string();
}

ElementType Element(std::string_view name, std::string_view what) {
  if (const std::optional<ElementType> element = FindElement(name)) {
    return *element;
  }
  Fail(ErrorKind::kProgram, "{} is \"{}\"; expected float16, float32 or int32",
       what, name);
}

// The tensor itself, or a number or list as a tensor of its own type.
Value AsTensorValue(Vm& vm, const Value& x) {
  return x.is_tensor() ? x : vm.tensors().Convert(x, vm.where());
}

}  // namespace

Value MakeTensor(Vm& vm, std::span<Value> arguments) {
  if (!arguments[2].is_unset() && !arguments[2].is_none()) {
    Place(vm, Word(arguments[2], "tensor: 'device'"));
  }
  if (arguments[1].is_unset() || arguments[1].is_none()) {
    return AsTensorValue(vm, arguments[0]);
  }
  const std::string_view dtype = Word(arguments[1], "tensor: 'dtype'");
  return vm.tensors().Make(arguments[0], Element(dtype, "tensor: 'dtype'"),
                           vm.where());
}

Value To(Vm& vm, std::span<Value> arguments) {
  const std::string_view target = Word(arguments[1], "to: 'target'");
  if (IsDevice(target)) {
    Place(vm, target);
    return AsTensorValue(vm, arguments[0]);
  }
  return vm.tensors().Make(arguments[0], Element(target, "to: 'target'"),
                           vm.where());
}

Value Cpu(Vm& vm, std::span<Value> arguments) {
  return AsTensorValue(vm, arguments[0]);
}

Value Gpu(Vm& vm, std::span<Value> arguments) {
  Place(vm, "gpu");
  return AsTensorValue(vm, arguments[0]);
}

}  // namespace tl::builtins

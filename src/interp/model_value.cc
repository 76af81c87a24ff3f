#include "interp/model_value.h"

#include <algorithm>

#include "base/error.h"
#include "format/config.h"
#include "interp/map.h"
#include "interp/tensor_operand.h"
#include "interp/tensor_runtime.h"
#include "ops/build.h"

namespace tl {
namespace {

Value ToValue(const ConfigValue& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return Value::Bool(*flag);
  if (const int64_t* number = std::get_if<int64_t>(&value)) {
    return Value::Int(*number);
  }
  if (const double* real = std::get_if<double>(&value)) {
    return Value::Float(*real);
  }
  if (const std::string* text = std::get_if<std::string>(&value)) {
    return Value::String(*text);
  }
  return Value();
}

Value ConfigMap(const Model& model) {
  Value map = Value::Map();
  for (const ConfigField& field : ConfigOf(model)) {
    map.OwnMap().At(Value::String(std::string(field.name))) =
        ToValue(field.value);
  }
  return map;
}

Value MetadataMap(const Model& model) {
  Value map = Value::Map();
  for (const auto& [key, value] : model.metadata()) {
    map.OwnMap().At(Value::String(key)) = Value::String(value);
  }
  return map;
}

// Bytes in a file may lie anywhere; kernels want elements on their boundaries.
bool Aligned(const Tensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.data.get()) %
             ElementBytes(tensor.dtype) ==
         0;
}

}  // namespace

// The stored tensor itself where its bytes are what is computed with, else its
// conversion. Nothing is read yet.
TensorRef OpenModel::Decode(const TensorEntry& entry, DType dtype) {
  Tensor stored = entry.AsTensor();
  stored.mapped = entry.file != nullptr;
  const bool as_it_is = stored.dtype == dtype && Aligned(stored);
  const NodePtr leaf = runtime_.builder().Leaf(std::move(stored));
  if (as_it_is) return leaf;
  on_leaf_(*leaf, entry.name);
  return runtime_.builder().Lowering::Apply(OpId::Decode, {leaf},
                                            {{int64_t(dtype)}, {}});
}

TensorRef OpenModel::Get(std::string_view name) {
  const auto known = tensors_.find(std::string(name));
  if (known != tensors_.end()) return known->second;
  const TensorEntry& entry = model_.Get(name);
  if (!entry.dtype || Info(*entry.dtype).kind != DTypeKind::kFloat) {
    Fail(ErrorKind::kInput,
         "{}: tensor {} has type {}, which cannot be computed with; only "
         "floating-point types can",
         model_.Label(), QuoteName(name), entry.type_name());
  }
  const TensorRef tensor = Decode(entry, dtype_);
  tensors_.emplace(name, tensor);
  return tensor;
}

void OpenModel::Set(std::string_view name, const Value& value) {
  const TensorRef tensor =
      OperandOf(runtime_.builder(), value, DType::F16);
  if (tensor->dtype() == DType::I32) {
    Fail(ErrorKind::kProgram,
         "int32 tensors are not stored in a model; to(x, float32) converts "
         "{}{}",
         QuoteName(name), tensor->shape().ToString());
  }
  model_.Set(name, runtime_.Evaluate(tensor));
  tensors_[std::string(name)] = tensor;
}

void OpenModel::Remove(std::string_view name) {
  model_.Remove(name);
  tensors_.erase(std::string(name));
}

std::shared_ptr<OpenModel> OpenModel::Copy() const {
  Model copy(model_.path(), model_.format());
  for (const TensorEntry& entry : model_.tensors()) copy.Add(entry);
  copy.metadata() = model_.metadata();
  auto open = std::make_shared<OpenModel>(std::move(copy), dtype_, runtime_,
                                          on_leaf_);
  open->tensors_ = tensors_;
  return open;
}

std::string ModelValue::Name(std::string_view name) const {
  return whole() ? std::string(name) : prefix_ + "." + std::string(name);
}

std::vector<std::string> ModelValue::Names() const {
  std::vector<std::string> names;
  if (whole()) {
    for (const TensorEntry& entry : open_->model().tensors()) {
      names.push_back(entry.name);
    }
  } else {
    for (const TensorEntry* entry : open_->model().TensorsBelow(prefix_)) {
      if (entry->name.size() > prefix_.size()) {
        names.push_back(entry->name.substr(prefix_.size() + 1));
      }
    }
  }
  return names;
}

std::string ModelValue::ToString() const {
  const Model& model = open_->model();
  const std::string part = whole() ? "" : fmt::format(" part '{}'", prefix_);
  const std::string format =
      model.format().empty() ? "" : fmt::format("{}, ", model.format());
  return fmt::format("<model {}{}: {}{} tensors>",
                     model.path().empty() ? "in memory" : model.path(), part,
                     format, Length());
}

Value ModelValue::FindMember(std::string_view name) const {
  const Model& model = open_->model();
  if (name == "names") return Value::List(Items());
  if (whole()) {
    if (name == "metadata") return MetadataMap(model);
    if (name == "format") return Value::String(std::string(model.format()));
    if (name == "config") return ConfigMap(model);
  }
  const std::string full = Name(name);
  if (model.Find(full)) return MakeTensorValue(open_->Get(full));
  if (model.HasPart(full)) return Make(open_, full);
  return Value::Unset();
}

Value ModelValue::Index(const Value& key) const {
  if (key.is_int()) {
    const std::string part = std::to_string(key.as_int());
    Value found = FindMember(part);
    if (!found.is_unset()) return found;
    Fail(ErrorKind::kProgram, "{} has no part '{}'", ToString(), Name(part));
  }
  if (!key.is_string()) {
    Fail(ErrorKind::kProgram, "a model is indexed by a name or a number, not "
         "a {}", TypeName(key));
  }
  return MakeTensorValue(open_->Get(Name(key.as_string())));
}

void ModelValue::SetIndex(const Value& key, const Value& to) {
  if (!key.is_string()) {
    Fail(ErrorKind::kProgram, "a tensor's name is a string, not a {}",
         TypeName(key));
  }
  open_->Set(Name(key.as_string()), to);
}

bool ModelValue::Contains(const Value& key) const {
  return key.is_string() && open_->model().Find(Name(key.as_string()));
}

int64_t ModelValue::Length() const {
  return whole() ? open_->model().size()
                 : static_cast<int64_t>(Names().size());
}

std::vector<Value> ModelValue::Items() const {
  std::vector<Value> items;
  for (std::string& name : Names()) {
    items.push_back(Value::String(std::move(name)));
  }
  return items;
}

void ModelValue::Remove(const Value& key) {
  if (!key.is_string()) {
    Fail(ErrorKind::kProgram, "a tensor's name is a string, not a {}",
         TypeName(key));
  }
  open_->Remove(Name(key.as_string()));
}

Value ModelValue::Copy() const {
  if (!whole()) {
    Fail(ErrorKind::kProgram, "copy: {} is a part of a model; a whole model is "
         "needed", ToString());
  }
  return Make(open_->Copy());
}

}  // namespace tl

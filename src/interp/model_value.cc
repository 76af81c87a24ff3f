#include "interp/model_value.h"

#include <algorithm>

#include "base/error.h"
#include "base/memory.h"
#include "format/config.h"
#include "format/nearest.h"
#include "interp/map.h"
#include "interp/metadata_view.h"
#include "interp/tensor_operand.h"
#include "interp/tensor_runtime.h"
#include "interp/tokenizer_value.h"
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
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(&value)) {
    std::vector<Value> items;
    for (int64_t number : *numbers) items.push_back(Value::Int(number));
    return Value::List(std::move(items));
  }
  return Value();
}

Value ConfigMap(const Model& model, Builder& builder) {
  Value map = Value::Map();
  for (const ConfigField& field : ConfigOf(model)) {
    map.OwnMap().At(Value::String(std::string(field.name))) =
        field.name == "rope"         ? RopeMap(RopeOf(model), builder)
        : field.name == "rope_local" ? RopeMap(LocalRopeOf(model), builder)
                                     : ToValue(field.value);
  }
  return map;
}

bool HoldsTensor(const Value& value) {
  if (!value.is_list()) return value.is_tensor();
  const std::vector<Value>& items = value.as_list();
  return std::any_of(items.begin(), items.end(), HoldsTensor);
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
  Builder& builder = runtime_.builder();
  const NodePtr leaf = builder.Leaf(std::move(stored));
  return as_it_is ? TensorRef(leaf) : Convert(leaf, dtype, entry.name);
}

// Unlike a cast, a conversion counts what it loses.
TensorRef OpenModel::Convert(const TensorRef& x, DType dtype,
                             const std::string& name) {
  const TensorRef converted = runtime_.builder().Lowering::Apply(
      OpId::Decode, {x}, {{int64_t(dtype)}, {}});
  on_conversion_(*AsNode(converted), name);
  return converted;
}

TensorRef OpenModel::Scale(const Companion& companion) {
  const TensorEntry& entry = model_.Get(companion.scale);
  if (!companion.exponents) return Decode(entry, DType::F32);
  Tensor exponents = entry.AsTensor();
  exponents.dtype = DType::F8_E8M0;  // also where the file says U8
  exponents.mapped = entry.file != nullptr;
  return Convert(runtime_.builder().Leaf(std::move(exponents)), DType::F32,
                 entry.name);
}

// value[.., i, j] = stored[.., i, j] * scale[.., i / rows, j / columns] in
// float32, then rounded once. Stored is seen as [batch, R, C].
TensorRef OpenModel::Scaled(const TensorEntry& entry,
                            const Companion& companion) {
  Builder& lo = runtime_.builder();
  const TensorRef stored = Decode(entry, DType::F32);
  const int rank = stored->rank();
  const int64_t columns = rank > 0 ? stored->shape().dim(rank - 1) : 1;
  const int64_t rows = rank > 1 ? stored->shape().dim(rank - 2) : 1;
  if (stored->shape().size() == 0) return Cast(lo, stored, dtype_);
  const int64_t batch = stored->shape().size() / (rows * columns);
  const auto blocks = [](int64_t n, int64_t size) {
    return (n + size - 1) / size;
  };
  const int64_t block_rows = blocks(rows, companion.rows);
  const int64_t block_columns = blocks(columns, companion.columns);
  const TensorRef scale = Scale(companion);
  const int64_t count = scale->shape().size();
  Shape blocked{batch, block_rows, 1, block_columns, 1};
  if (count == block_rows * block_columns) {
    blocked[0] = 1;
  } else if (count == batch || count == 1) {
    blocked = Shape{count, 1, 1, 1, 1};
  } else if (count != batch * block_rows * block_columns) {
    Fail(ErrorKind::kInput,
         "{}: scale {} of shape {} does not fit {} of shape {} ({})",
         model_.Label(), QuoteName(companion.scale),
         scale->shape().ToString(), QuoteName(entry.name),
         stored->shape().ToString(), companion.text);
  }
  // Each scale over its block; what reaches past the edge is cut off.
  const Shape whole{batch, block_rows, companion.rows, block_columns,
                    companion.columns};
  TensorRef spread = BroadcastTo(lo, Reshape(lo, scale, blocked), whole);
  spread = Reshape(lo, spread,
                   Shape{batch, block_rows * companion.rows,
                         block_columns * companion.columns});
  spread = Slice(lo, Slice(lo, spread, 1, 0, rows), 2, 0, columns);
  const TensorRef product =
      Binary(lo, OpId::Mul, Reshape(lo, stored, Shape{batch, rows, columns}),
             spread);
  const TensorRef result = Reshape(lo, product, stored->shape());
  return dtype_ == DType::F32 ? result : Convert(result, dtype_, entry.name);
}

void OpenModel::Settle(std::string_view name) {
  const auto found = changes_.find(std::string(name));
  if (found == changes_.end()) return;
  model_.Set(name, Changed(model_.Get(name), found->second));
  changes_.erase(found);
}

void OpenModel::Settle() {
  while (!changes_.empty()) Settle(std::string(changes_.begin()->first));
}

TensorRef OpenModel::Get(std::string_view name) {
  const auto known = tensors_.find(std::string(name));
  if (known != tensors_.end()) return known->second;
  Settle(name);
  const TensorEntry& entry = model_.Get(name);
  const Companion companion = FindCompanion(model_, entry);
  if (companion.reading == Reading::kRefused) {
    Fail(ErrorKind::kInput, "{}: tensor {}: {}", model_.Label(),
         QuoteName(name), companion.text);
  }
  if (!entry.dtype || !IsComputable(*entry.dtype)) {
    Fail(ErrorKind::kInput,
         "{}: tensor {} has type {}, which cannot be computed with; only "
         "floating-point types can",
         model_.Label(), QuoteName(name), entry.type_name());
  }
  const TensorRef tensor = companion.reading == Reading::kScaled
                               ? Scaled(entry, companion)
                               : Decode(entry, dtype_);
  tensors_.emplace(name, tensor);
  return tensor;
}

// Under another name a stored tensor is still the bytes that are stored, not
// what they were converted to for computing.
bool OpenModel::KeepStored(std::string_view name, const TensorRef& tensor) {
  for (const auto& [known, ref] : tensors_) {
    if (ref.get() != tensor.get()) continue;
    const TensorEntry entry = model_.Get(known);
    const Companion companion = FindCompanion(model_, entry);
    if (companion.reading != Reading::kPlain) return false;
    model_.Set(name, entry);
    return true;
  }
  // Of another model.
  const NodePtr node = AsNode(tensor);
  if (node->op() != OpId::Decode || node->inputs().empty()) return false;
  const Node& stored = *node->inputs()[0];
  if (stored.op() != OpId::kLeaf || !stored.has_value()) return false;
  model_.Set(name, stored.value());
  return true;
}

void OpenModel::Set(std::string_view name, const Value& value) {
  const TensorRef tensor =
      HoldsTensor(value) ? OperandOf(runtime_.builder(), value, DType::F16)
                         : TensorOfType(runtime_.builder(), value, DType::F16);
  if (tensor->dtype() == DType::I32) {
    Fail(ErrorKind::kProgram,
         "tensor {}: int32 tensors are not stored in a model; to(x, float32) "
         "converts it",
         QuoteName(name));
  }
  if (!KeepStored(name, tensor)) model_.Set(name, runtime_.Evaluate(tensor));
  ++version_;
  config_ = Value();
  changes_.erase(std::string(name));
  tensors_[std::string(name)] = tensor;
}

const Value& OpenModel::Config() {
  if (config_.is_none()) config_ = ConfigMap(model_, runtime_.builder());
  return config_;
}

void OpenModel::Remove(std::string_view name) {
  ++version_;
  config_ = Value();
  model_.Remove(name);
  changes_.erase(std::string(name));
  tensors_.erase(std::string(name));
}

const TensorEntry& OpenModel::Stored(std::string_view name) {
  Settle(name);
  return model_.Get(name);
}

void OpenModel::Replace(std::string_view name, TensorEntry entry) {
  ++version_;
  model_.Set(name, std::move(entry));
  tensors_.erase(std::string(name));
}

std::shared_ptr<OpenModel> OpenModel::Copy() const {
  Model copy(model_.path(), model_.format());
  for (const TensorEntry& entry : model_.tensors()) copy.Add(entry);
  copy.metadata() = model_.metadata();
  copy.set_format_version(model_.format_version());
  copy.set_program(model_.program());
  auto open =
      std::make_shared<OpenModel>(ModelLayout{std::move(copy), changes_}, dtype_,
                                  runtime_, on_conversion_);
  open->tensors_ = tensors_;
  return open;
}

bool OpenModel::BeforePlacing(const std::byte* data) {
  const std::vector<TensorEntry>& tensors = model_.tensors();
  const auto found = std::find_if(
      tensors.begin(), tensors.end(),
      [data](const TensorEntry& entry) { return entry.data.get() == data; });
  if (found == tensors.end()) return false;
  const int64_t bytes = found->ComputedBytes(dtype_);
  if (!has_room_) {
    // A program that looks at a few tensors never wants the others there.
    constexpr int64_t kFew = 8;
    const int64_t whole = WholeBytes();
    if ((placed_ + bytes) * kFew > whole) RequireRoom(whole);
  }
  placed_ += bytes;
  return true;
}

int64_t OpenModel::WholeBytes() const {
  int64_t bytes = 0;
  for (const TensorEntry& entry : model_.tensors()) {
    bytes += entry.ComputedBytes(dtype_);
  }
  return bytes;
}

void OpenModel::RequireRoom(int64_t whole) {
  const DeviceMemory memory = runtime_.executor().backend().Memory();
  const int64_t room = memory.free + placed_;
  if (whole > room) {
    Fail(ErrorKind::kInternal,
         "{} needs {} on the GPU, where {} of {} are free; with --gpu-memory "
         "SIZE what is beyond SIZE stays in host memory, which is slower",
         model_.Label(), BinarySize(whole), BinarySize(room),
         BinarySize(memory.total));
  }
  has_room_ = true;
}

ModelRunner& OpenModel::Runner() {
  if (!runner_) runner_ = std::make_unique<ModelRunner>(*this, runtime_);
  return *runner_;
}

Value OpenModel::Tokenizer() {
  if (tokenizer_.is_none()) tokenizer_ = TokenizerOf(model_);
  return tokenizer_;
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
    if (name == "metadata") return MetadataView::Make(open_);
    if (name == "tokenizer") return open_->Tokenizer();
    if (name == "format") return Value::String(std::string(model.format()));
    if (name == "config") return open_->Config();
    if (name == "inputs" || name == "outputs") {
      Value features =
          name == "inputs" ? DescribeInputs(model) : DescribeOutputs(model);
      if (!features.is_unset()) return features;
    }
  }
  if (version_ != open_->version()) members_.clear();
  version_ = open_->version();
  const auto known = members_.find(name);
  if (known != members_.end()) return known->second;
  Value member = TensorOrPart(name);
  if (!member.is_unset()) members_.emplace(name, member);
  return member;
}

Value ModelValue::TensorOrPart(std::string_view name) const {
  const std::string full = Name(name);
  if (open_->model().Find(full)) return MakeTensorValue(open_->Get(full));
  if (open_->model().HasPart(full)) return Make(open_, full);
  return Value::Unset();
}

// No tensor of a model hides these.
bool ModelValue::IsMethod(std::string_view name) const {
  return name == "get_tensor" || name == "has" || name == "remove" ||
         name == "copy";
}

Value ModelValue::CallMethod(std::string_view name,
                             std::span<const Value> arguments,
                             const std::vector<std::string>& names) {
  if (name != "predict") return Value::Unset();
  return open_->Runner().Predict(arguments, names);
}

void ModelValue::FailMember(std::string_view name) const {
  open_->model().Get(Name(name));
  Handle::FailMember(name);
}

std::vector<std::string> ModelValue::PartNames() const {
  std::vector<std::string> parts;
  for (const std::string& name : Names()) {
    const size_t end = name.find('.');
    if (end != std::string::npos) parts.push_back(Name(name.substr(0, end)));
  }
  std::sort(parts.begin(), parts.end());
  parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
  return parts;
}

void ModelValue::FailPart(std::string_view part) const {
  const std::vector<std::string> parts = PartNames();
  const std::vector<std::string_view> views(parts.begin(), parts.end());
  const std::string whole_name = Name(part);
  std::string hint;
  for (std::string_view near : NearestNames(whole_name, views, 3)) {
    hint += (hint.empty() ? "; nearest: " : ", ") + QuoteName(near);
  }
  Fail(ErrorKind::kProgram, "{} has no part {} among the {} {}{}",
       open_->model().Label(), QuoteName(whole_name),
       parts.size(), whole() ? "parts" : "of " + QuoteName(prefix_), hint);
}

Value ModelValue::Index(const Value& key) const {
  if (key.is_int()) {
    const std::string part = std::to_string(key.as_int());
    Value found = FindMember(part);
    if (!found.is_unset()) return found;
    FailPart(part);
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

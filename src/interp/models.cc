#include "interp/models.h"

#include <cmath>

#include "base/error.h"
#include "base/printable.h"
#include "base/sandbox.h"
#include "format/model_layout.h"
#include "format/load.h"
#include "format/lora_adapter.h"
#include "format/save.h"
#include "interp/merge_lora.h"
#include "interp/model_value.h"
#include "interp/tensor_runtime.h"

namespace tl {
namespace {

ModelValue& AsModel(const Value& value) {
  if (!Models::IsModel(value)) {
    Fail(ErrorKind::kProgram, "a {} is not a model", TypeName(value));
  }
  return static_cast<ModelValue&>(value.as_handle());
}

DType ComputeType(const Value& dtype) {
  if (dtype.is_none() || dtype.is_unset()) return DType::F16;
  const std::string_view name =
      dtype.is_string() ? std::string_view(dtype.as_string()) : "";
  for (DType type : {DType::F16, DType::F32}) {
    if (LanguageName(type) == name) return type;
  }
  Fail(ErrorKind::kProgram, "load_model: 'dtype' must be float16 or float32");
}

ModelLayout LoadInLayout(const std::string& path, const std::string& layout) {
  if (layout == "hf") return InHfLayout(LoadModel(path));
  if (layout == "gguf") return InGgufLayout(LoadModel(path));
  if (layout.empty()) return {LoadModel(path), {}};
  Fail(ErrorKind::kProgram,
       "load_model: 'layout' is '{}'; expected 'hf' or 'gguf', or nothing for "
       "the names and rows of the file",
       layout);
}

template <class... Args>
void PrintNote(fmt::format_string<Args...> text, Args&&... args) {
  const std::string note = fmt::format(text, std::forward<Args>(args)...);
  fmt::print(stderr, "note: {}\n", PrintableLines(note));
}

// What became of the values, and what to do where that helps.
std::string Describe(const DecodeCounts& counts, const Node& conversion) {
  const int64_t size = conversion.shape().size();
  const DType dtype = conversion.dtype();
  std::string text;
  const auto add = [&](int64_t count, std::string_view what) {
    if (count == 0) return;
    text += fmt::format("{}{} of {} value{} {}", text.empty() ? "" : ", ", count,
                        size, size == 1 ? "" : "s", what);
  };
  const std::string_view type = LanguageName(dtype);
  add(counts.overflowed, fmt::format("exceed {}, became inf", type));
  add(counts.flushed, fmt::format("are too small for {}, became 0", type));
  add(counts.nan, "are inf or NaN in the file");
  const bool lost = counts.overflowed + counts.flushed > 0;
  if (lost && dtype == DType::F16) text += "; use dtype: float32";
  return text;
}

}  // namespace

Models::Models(TensorRuntime& runtime) : runtime_(runtime) {
  runtime_.set_decode_listener(
      [this](const Node& conversion, const DecodeCounts& counts) {
        OnDecode(conversion, counts);
      });
  runtime_.set_place_listener([this](const Node& leaf) { OnPlace(leaf); });
}

Models::~Models() {
  runtime_.set_decode_listener(nullptr);
  runtime_.set_place_listener(nullptr);
}

Value Models::Add(std::shared_ptr<OpenModel> open) {
  std::erase_if(open_, [](const auto& model) { return model.expired(); });
  open_.push_back(open);
  return ModelValue::Make(std::move(open));
}

Value Models::Load(const std::string& path, const Value& dtype, bool strict,
                   const std::string& layout) {
  ModelLayout loaded = LoadInLayout(path, layout);
  for (const std::string& note : loaded.model.notes()) {
    PrintNote("{}: {}", path, note);
  }
  const auto open = std::make_shared<OpenModel>(
      std::move(loaded), ComputeType(dtype), runtime_,
      [this, path](const Node& conversion, const std::string& name) {
        conversions_[&conversion] = fmt::format("{}: '{}'", path, name);
      });
  Value model = Add(open);
  if (strict) ConvertAll(*open);
  return model;
}

// Everything now; the first loss is an error.
void Models::ConvertAll(OpenModel& open) {
  strict_ = true;
  try {
    for (const TensorEntry& entry : open.model().tensors()) {
      const bool computable =
          entry.dtype && IsComputable(*entry.dtype);
      if (computable) runtime_.Evaluate(open.Get(entry.name));
    }
  } catch (...) {
    strict_ = false;
    throw;
  }
  strict_ = false;
}

Value Models::New() {
  return ModelValue::Make(std::make_shared<OpenModel>(
      ModelLayout(), DType::F16, runtime_,
      [](const Node&, const std::string&) {}));
}

void Models::Save(const Value& value, const std::string& path,
                  const std::string& type) {
  ModelValue& model = AsModel(value);
  if (!model.whole()) {
    Fail(ErrorKind::kProgram, "save_model: {} is a part of a model; copy its "
         "tensors into model() to save them", model.ToString());
  }
  RequireWritable(path);  // before much is computed
  model.open().Settle();
  for (const std::string& note :
       SaveModel(model.open().model(), path, {.type = type})) {
    PrintNote("{}: {}", path, note);
  }
}

Value Models::ApplyLora(const Value& value, const std::string& path,
                        double scale) {
  ModelValue& model = AsModel(value);
  if (!model.whole()) {
    Fail(ErrorKind::kProgram,
         "apply_lora: {} is a part of a model; a whole model is needed",
         model.ToString());
  }
  if (!std::isfinite(scale)) {
    Fail(ErrorKind::kProgram, "apply_lora: 'scale' is {}; expected a number",
         scale);
  }
  const std::shared_ptr<OpenModel> merged = model.open().Copy();
  for (const AdapterChange& change :
       ReadAdapter(path, merged->model(), scale)) {
    merged->Replace(change.name,
                    Merged(runtime_, merged->Stored(change.name), change,
                           merged->dtype()));
  }
  return Add(merged);
}

bool Models::IsModel(const Value& value) {
  return value.is_handle() && value.as_handle().type() == TypeKind::kModel;
}

std::shared_ptr<const ModelHeader> Models::Find(const std::string& path) {
  const auto known = headers_.find(path);
  if (known != headers_.end()) return known->second;
  std::shared_ptr<ModelHeader> header;
  try {
    const Model model = LoadModel(path);
    header = std::make_shared<ModelHeader>();
    for (const TensorEntry& entry : model.tensors()) {
      header->tensors.push_back(
          {entry.name, std::string(entry.type_name()), entry.shape,
           entry.dtype && IsComputable(*entry.dtype)});
    }
  } catch (const Error&) {
    header = nullptr;  // the run says what is wrong with the file
  }
  headers_[path] = header;
  return header;
}

void Models::OnDecode(const Node& conversion, const DecodeCounts& counts) {
  const auto found = conversions_.find(&conversion);
  if (found == conversions_.end()) return;
  const std::string what = Describe(counts, conversion);
  if (strict_) Fail(ErrorKind::kInput, "{}: {}", found->second, what);
  if (lossy_tensors_++ == 0) {
    PrintNote("{}: {}; all counts: tl info --stats", found->second, what);
  }
}

void Models::OnPlace(const Node& leaf) {
  if (!leaf.value().mapped) return;
  for (const std::weak_ptr<OpenModel>& known : open_) {
    const std::shared_ptr<OpenModel> model = known.lock();
    if (model && model->BeforePlacing(leaf.value().data.get())) return;
  }
}

void Models::ReportLosses() {
  if (lossy_tensors_ > 1) {
    PrintNote("{} more tensor{} inf or NaN; all counts: tl info --stats",
              lossy_tensors_ - 1,
              lossy_tensors_ == 2 ? " lost values or holds"
                                  : "s lost values or hold");
  }
  lossy_tensors_ = 0;
}

}  // namespace tl

#include "format/save_plan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <map>

#include "base/error.h"
#include "format/companion.h"
#include "format/config.h"
#include "format/file_type.h"
#include "format/gguf_header.h"
#include "format/gguf_split.h"
#include "format/hf_files.h"
#include "format/hf_metadata.h"
#include "format/hf_names.h"
#include "format/quantize.h"

namespace tl {
namespace {

constexpr uint32_t kQuantizationVersion = 2;  // GGML_QNT_VERSION
constexpr char kVersionKey[] = "general.quantization_version";
constexpr char kFileTypeKey[] = "general.file_type";
// More would only be padding; readers take any power of two.
constexpr int64_t kMaxAlignment = 1 << 20;

struct Ending {
  std::string_view text;
  FileFormat format;
};

constexpr auto kEndings = std::to_array<Ending>({
    {".safetensors", FileFormat::kSafeTensors},
    {".gguf", FileFormat::kGguf},
});

int64_t ConfigInt(const ModelConfig& config, std::string_view name) {
  for (const ConfigField& field : config) {
    const int64_t* value = std::get_if<int64_t>(&field.value);
    if (field.name == name && value != nullptr) return *value;
  }
  return 0;
}

// For models that do not say: one more than the last number in a name.
int64_t CountLayers(const Model& model) {
  int64_t layers = 0;
  for (const TensorEntry& entry : model.tensors()) {
    layers = std::max(layers, LayerOf(entry.name).value_or(-1) + 1);
  }
  return layers;
}

MixFacts FactsOf(const Model& model) {
  const ModelConfig config = ConfigOf(model);
  MixFacts facts;
  facts.layers = ConfigInt(config, "layers");
  if (facts.layers == 0) facts.layers = CountLayers(model);
  facts.heads = ConfigInt(config, "heads");
  facts.kv_heads = ConfigInt(config, "kv_heads");
  const Metadata& metadata = model.metadata();
  if (const auto arch = metadata.Text("general.architecture")) {
    facts.experts =
        metadata.Int(std::string(*arch) + ".expert_count").value_or(0);
  }
  facts.has_output = model.Find("output.weight") != nullptr ||
                     model.Find("lm_head.weight") != nullptr;
  return facts;
}

OutputTensor Unchanged(const TensorEntry& entry) {
  OutputTensor tensor;
  tensor.name = entry.name;
  tensor.shape = entry.shape;
  tensor.dtype = entry.dtype;
  tensor.elements = entry.elements;
  tensor.bytes = entry.bytes;
  tensor.source = entry;
  return tensor;
}

void CheckReadable(const Model& model, const TensorEntry& entry) {
  if (IsPacked(*entry.dtype)) return;
  const Companion companion = FindCompanion(model, entry);
  if (companion.reading == Reading::kPlain) return;
  Fail(ErrorKind::kInput,
       "tensor {}: {}; such a tensor can be copied, not converted",
       QuoteName(entry.name), companion.text);
}

class Planner {
 public:
  Planner(const Model& model, FileFormat format, const SaveOptions& options)
      : model_(model), format_(format) {
    ChooseDirection(options.layout);
    if (!options.type.empty()) ChooseType(format, options);
    // A config.json that cannot be read is no reason not to save a model that
    // nobody asks for it.
    const bool mixed = type_ != nullptr && format == FileFormat::kGguf;
    if (mixed || direction_ != Direction::kStay) facts_ = FactsOf(model);
  }

  OutputModel Run() const {
    OutputModel output;
    output.metadata = model_.metadata();
    for (const TensorEntry& entry : model_.tensors()) {
      OutputTensor tensor = Plan(entry);
      if (Place(tensor)) output.tensors.push_back(std::move(tensor));
    }
    if (direction_ == Direction::kToGguf) {
      output.metadata = MakeGgufMetadata(model_, *family_);
      AddRopeFactors(output);
    }
    if (direction_ == Direction::kToHuggingFace) {
      output.companions = MakeHuggingFaceFiles(model_, *family_);
      // They are those files now.
      output.metadata.Remove(kConfigKey);
      output.metadata.Remove(kTokenizerKey);
    }
    AdaptMetadata(output);
    return output;
  }

 private:
  enum class Direction { kStay, kToGguf, kToHuggingFace };

  void ChooseType(FileFormat format, const SaveOptions& options) {
    type_ = &FindFileType(options.type);
    if (format == FileFormat::kSafeTensors && IsPacked(type_->base)) {
      Fail(ErrorKind::kInput,
           "SafeTensors has no type '{}'; it holds f32, f16 and bf16",
           type_->name);
    }
  }

  // Which way the model goes, from what it looks like.
  void ChooseDirection(NameLayout layout) {
    const bool is_gguf = model_.Find("token_embd.weight") != nullptr;
    const bool is_hf = model_.Find("model.embed_tokens.weight") != nullptr;
    const bool usual = layout == NameLayout::kUsual &&
                       format_ == FileFormat::kGguf && is_hf &&
                       model_.ConfigJson().has_value();
    if (layout == NameLayout::kGguf || usual) {
      if (is_gguf) return;
      direction_ = Direction::kToGguf;
      family_ = &HuggingFaceFamily(model_);
    } else if (layout == NameLayout::kHuggingFace && !is_hf) {
      direction_ = Direction::kToHuggingFace;
      family_ = &GgufFamily();
    }
  }

  const Family& GgufFamily() const {
    const auto arch = model_.metadata().Text("general.architecture");
    const Family* family = arch ? FamilyOfArchitecture(*arch) : nullptr;
    if (family == nullptr) {
      Fail(ErrorKind::kInput,
           "{}: the layout of '{}' in Hugging Face's models is not known here, "
           "only of {}",
           model_.Label(), arch.value_or(""), FamilyNames());
    }
    return *family;
  }

  // Gives the tensor its name and the order of its rows. False for one that
  // the other layout does without.
  bool Place(OutputTensor& tensor) const {
    if (direction_ == Direction::kStay) return true;
    const bool to_gguf = direction_ == Direction::kToGguf;
    const bool computed = to_gguf ? tensor.name.ends_with("rotary_emb.inv_freq")
                                  : IsOnlyInGguf(tensor.name);
    if (computed) return false;
    auto renamed = to_gguf ? ToGgufName(*family_, tensor.name, facts_.heads,
                                        facts_.kv_heads)
                           : ToHuggingFaceName(*family_, tensor.name,
                                               facts_.heads, facts_.kv_heads);
    if (!renamed) {
      Fail(ErrorKind::kInput,
           "tensor {}: has no place in the {} layout of '{}'",
           QuoteName(tensor.name), to_gguf ? "GGUF" : "Hugging Face",
           family_->model_type);
    }
    tensor.name = std::move(renamed->name);
    tensor.change = renamed->change;
    if (!tensor.change.none()) CheckChange(tensor);
    return true;
  }

  void CheckChange(const OutputTensor& tensor) const {
    const int64_t heads = tensor.change.heads;
    if (!tensor.source.dtype || !IsComputable(*tensor.source.dtype)) {
      Fail(ErrorKind::kInput,
           "tensor {}: {} cannot be brought into another "
           "layout",
           QuoteName(tensor.source.name), tensor.type_name());
    }
    const int64_t rows = tensor.shape.empty() ? 0 : tensor.shape[0];
    if (heads < 0 || (heads > 0 && rows % (2 * heads) != 0)) {
      Fail(ErrorKind::kInput, "tensor {}: {} rows are not {} heads of pairs",
           QuoteName(tensor.source.name), rows, heads);
    }
    const bool paired = family_->paired_rows &&
                        (tensor.name.find("attn_q.") != std::string::npos ||
                         tensor.name.find("q_proj.") != std::string::npos);
    if (paired && heads == 0) {
      Fail(ErrorKind::kInput, "{}: does not say how many heads it has",
           model_.Label());
    }
  }

  void AddRopeFactors(OutputModel& output) const {
    const std::optional<std::vector<float>> factors = RopeFactorsOf(model_);
    if (!factors) return;
    Model made;
    Tensor tensor =
        MakeTensor(DType::F32, {static_cast<int64_t>(factors->size())});
    std::copy(factors->begin(), factors->end(), tensor.as<float>());
    made.Set("rope_freqs.weight", std::move(tensor));
    output.tensors.push_back(Unchanged(made.Get("rope_freqs.weight")));
  }

  OutputTensor Plan(const TensorEntry& entry) const {
    OutputTensor tensor = Unchanged(entry);
    const std::optional<DType> to = Target(entry);
    if (!to || to == entry.dtype) return tensor;
    CheckReadable(model_, entry);
    tensor.dtype = to;
    tensor.bytes = BytesOf(*to, entry.elements);
    return tensor;
  }

  // Nothing where the stored bytes stay.
  std::optional<DType> Target(const TensorEntry& entry) const {
    const bool numbers = entry.dtype && IsComputable(*entry.dtype);
    // Where GGUF has a layout, vectors are F32 in it.
    // So are those that a program computed.
    const bool made = format_ == FileFormat::kGguf && entry.file == nullptr;
    if (type_ == nullptr && (direction_ == Direction::kToGguf || made) &&
        numbers && entry.shape.size() < 2) {
      return DType::F32;
    }
    if (type_ == nullptr) {
      const bool decode = format_ == FileFormat::kSafeTensors && numbers &&
                          IsPacked(*entry.dtype);
      return decode ? std::optional(DType::F16) : std::nullopt;
    }
    if (!numbers) {
      CheckNoWeight(entry);
      return std::nullopt;
    }
    if (format_ == FileFormat::kSafeTensors) return type_->base;
    return TypeInFile(*type_, facts_, entry.name, entry.shape);
  }

  // Integers stay as they are; blocks that we cannot read would be left in
  // another type than the one that was asked for.
  void CheckNoWeight(const TensorEntry& entry) const {
    if (entry.dtype && Info(*entry.dtype).block_elements == 1) return;
    Fail(ErrorKind::kInput, "tensor {}: {} cannot be converted to {}",
         QuoteName(entry.name), entry.type_name(), type_->name);
  }

  void AdaptMetadata(OutputModel& output) const {
    Metadata& metadata = output.metadata;
    RemoveSplitKeys(metadata);
    SetFileType(output);
    if (format_ == FileFormat::kSafeTensors) {
      if (Decodes(output)) metadata.Remove(kVersionKey);
      return;
    }
    metadata.Remove("format");  // SafeTensors' own: which library wrote it
    const bool packed = std::ranges::any_of(output.tensors, [](const auto& t) {
      return t.dtype && IsPacked(*t.dtype);
    });
    if (packed) {
      metadata.Set(kVersionKey, MetadataValue::Of(kQuantizationVersion));
    }
    RemoveBadAlignment(metadata);
  }

  static bool Decodes(const OutputModel& output) {
    return std::ranges::any_of(output.tensors, [](const auto& t) {
      return t.source.dtype && IsPacked(*t.source.dtype) && t.dtype &&
             !IsPacked(*t.dtype);
    });
  }

  // The type that was asked for; else the one that the source says, as long as
  // there are tensors of it.
  void SetFileType(OutputModel& output) const {
    const bool said = output.metadata.Find(kFileTypeKey) != nullptr;
    std::optional<uint32_t> number;
    if (type_ != nullptr) {
      if (said || format_ == FileFormat::kGguf) number = type_->number;
    } else if (said || direction_ == Direction::kToGguf) {
      number = FileTypeOfTensors(output);
    }
    if (number) output.metadata.Set(kFileTypeKey, MetadataValue::Of(*number));
  }

  // Nothing where what is said may stay: a mix is not to be told from its
  // tensors.
  static std::optional<uint32_t> FileTypeOfTensors(const OutputModel& output) {
    std::map<DType, int64_t> elements;
    for (const OutputTensor& tensor : output.tensors) {
      const bool matrix = tensor.shape.size() >= 2 && tensor.dtype &&
                          CanQuantize(*tensor.dtype);
      if (matrix) elements[*tensor.dtype] += tensor.elements;
    }
    if (elements.empty()) return std::nullopt;
    if (const auto said = output.metadata.Int(kFileTypeKey)) {
      const std::string_view name = FileTypeOfNumber(*said);
      if (!CanWriteFileType(name)) return std::nullopt;
      if (elements.contains(FindFileType(name).base)) return std::nullopt;
    }
    const auto most = std::ranges::max_element(
        elements, {}, [](const auto& entry) { return entry.second; });
    return NumberOfBase(most->first);
  }

  static void RemoveBadAlignment(Metadata& metadata) {
    const MetadataValue* value = metadata.Find(kGgufAlignmentKey);
    if (value == nullptr) return;
    const int64_t alignment = value->Int().value_or(0);
    if (value->kind() != MetadataKind::U32 || alignment > kMaxAlignment ||
        !std::has_single_bit(static_cast<uint64_t>(alignment))) {
      metadata.Remove(kGgufAlignmentKey);
    }
  }

  const Model& model_;
  const FileFormat format_;
  MixFacts facts_;  // where the type or the names depend on them
  const FileType* type_ = nullptr;
  Direction direction_ = Direction::kStay;
  const Family* family_ = nullptr;  // where the direction is not kStay
};

}  // namespace

FileFormat FormatByName(const std::string& path) {
  for (const Ending& ending : kEndings) {
    if (path.ends_with(ending.text)) return ending.format;
  }
  Fail(ErrorKind::kInput,
       "{}: the ending says what to write: .safetensors or .gguf", path);
}

NameLayout LayoutByName(std::string_view name) {
  if (name.empty()) return NameLayout::kUsual;
  if (name == "hf") return NameLayout::kHuggingFace;
  if (name == "gguf") return NameLayout::kGguf;
  Fail(ErrorKind::kInput, "there is no layout '{}'; known are hf and gguf",
       name);
}

OutputModel PlanSave(const Model& model, FileFormat format,
                     const SaveOptions& options) {
  return Planner(model, format, options).Run();
}

}  // namespace tl

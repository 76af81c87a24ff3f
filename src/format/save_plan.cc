#include "format/save_plan.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "format/file_type.h"
#include "format/hf_files.h"
#include "format/hf_metadata.h"
#include "format/hf_names.h"
#include "format/layout_change.h"
#include "format/save_metadata.h"
#include "format/save_types.h"

namespace tl {
namespace {

struct Ending {
  std::string_view text;
  FileFormat format;
};

constexpr auto kEndings = std::to_array<Ending>({
    {".safetensors", FileFormat::kSafeTensors},
    {".gguf", FileFormat::kGguf},
});

enum class Direction { kStay, kToGguf, kToHuggingFace };

// Which way a model goes, from what it looks like.
struct Move {
  Direction direction = Direction::kStay;
  const Family* family = nullptr;  // where the direction is not kStay
  std::string
      note;  // why a model keeps names that programs of GGUF do not know
};

const FileType* TypeOf(FileFormat format, const SaveOptions& options) {
  if (options.type.empty()) return nullptr;
  const FileType& type = FindFileType(options.type);
  if (format == FileFormat::kSafeTensors && IsPacked(type.base)) {
    Fail(ErrorKind::kInput,
         "SafeTensors has no type '{}'; it holds f32, f16 and bf16", type.name);
  }
  return &type;
}

const Family& GgufFamily(const Model& model) {
  const Architecture architecture = ArchitectureOf(model);
  const Family* family = FamilyOfArchitecture(architecture);
  if (family == nullptr) {
    Fail(ErrorKind::kInput,
         "{}: the layout of '{}'{} in Hugging Face's models is not known here, "
         "only of {}",
         model.Label(), architecture.name,
         architecture.experts ? " with experts" : "", FamilyNames());
  }
  return *family;
}

Move Staying(std::string_view why) {
  Move move;
  move.note = fmt::format(
      "the tensors keep their names, by which other programs do not know them "
      "in GGUF: {}",
      why);
  return move;
}

// Of a model that is written as GGUF and has other names.
Move UsualMove(const Model& model) {
  const bool is_hf = HasHuggingFaceNames(model);
  if (!model.ConfigJson()) {
    return is_hf ? Staying("there is no config.json beside the model") : Move();
  }
  const std::string type = ModelTypeOf(model);
  const Family* family = FamilyOfModelType(type);
  if (family != nullptr && is_hf) return {Direction::kToGguf, family, ""};
  if (family != nullptr) {
    return Staying(
        fmt::format("they are not those of '{}' in transformers", type));
  }
  if (type.empty()) return Staying("its config.json says no 'model_type'");
  return Staying(
      fmt::format("the layout of '{}' in GGUF is not known here, only of {}",
                  type, FamilyNames()));
}

Move MoveOf(const Model& model, FileFormat format, NameLayout layout) {
  const bool is_gguf = model.Find("token_embd.weight") != nullptr;
  switch (layout) {
    case NameLayout::kUsual:
      if (format != FileFormat::kGguf || is_gguf) return {};
      return UsualMove(model);
    case NameLayout::kGguf:
      if (is_gguf) return {};
      return {Direction::kToGguf, &HuggingFaceFamily(model), ""};
    case NameLayout::kHuggingFace:
      if (HasHuggingFaceNames(model)) return {};
      return {Direction::kToHuggingFace, &GgufFamily(model), ""};
  }
  return {};
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

OutputTensor MadeOf(const PlacedTensor& placed) {
  OutputTensor tensor = Unchanged(placed.sources.front());
  tensor.name = placed.name;
  tensor.shape = placed.shape;
  tensor.change = placed.change;
  if (placed.sources.size() == 1) return tensor;
  tensor.elements = 0;
  tensor.bytes = 0;
  for (const TensorEntry& source : placed.sources) {
    tensor.parts.push_back(Unchanged(source));
    tensor.elements += source.elements;
    tensor.bytes += source.bytes;
  }
  return tensor;
}

std::vector<OutputTensor> TensorsOf(const Model& model, const Move& move) {
  std::vector<OutputTensor> tensors;
  switch (move.direction) {
    case Direction::kStay:
      for (const TensorEntry& entry : model.tensors()) {
        tensors.push_back(Unchanged(entry));
      }
      break;
    case Direction::kToGguf:
      for (const PlacedTensor& placed : PlaceInGguf(model, *move.family)) {
        tensors.push_back(MadeOf(placed));
      }
      break;
    case Direction::kToHuggingFace:
      for (const PlacedTensor& placed :
           PlaceInHuggingFace(model, *move.family)) {
        tensors.push_back(MadeOf(placed));
      }
      break;
  }
  return tensors;
}

void AddRopeFactors(const Model& model, OutputModel& output) {
  Model made;
  for (const RopeFactorTensor& from : RopeFactorsOf(model)) {
    if (model.Find(from.name) != nullptr) continue;
    Tensor tensor =
        MakeTensor(DType::F32, {static_cast<int64_t>(from.factors.size())});
    std::ranges::copy(from.factors, tensor.as<float>());
    made.Set(from.name, std::move(tensor));
    output.tensors.push_back(Unchanged(made.Get(from.name)));
  }
}

// A model of Hugging Face that was loaded in GGUF's layout: the factors of its
// positions are in its config.json still.
bool WasPlacedInGguf(const Model& model) {
  return model.format() != "GGUF" && model.ConfigJson() &&
         model.metadata().Text("general.architecture") &&
         model.Find("token_embd.weight") != nullptr;
}

// What the layout says of metadata and of the files beside the model.
void DescribeMove(const Model& model, const Move& move, FileFormat format,
                  OutputModel& output) {
  output.metadata = model.metadata();
  switch (move.direction) {
    case Direction::kStay:
      if (format == FileFormat::kGguf && WasPlacedInGguf(model)) {
        AddRopeFactors(model, output);
      }
      return;
    case Direction::kToGguf:
      output.metadata = MakeGgufMetadata(model, *move.family);
      AddRopeFactors(model, output);
      return;
    case Direction::kToHuggingFace:
      output.companions = MakeHuggingFaceFiles(model, *move.family);
      // They are those files now.
      output.metadata.Remove(kConfigKey);
      output.metadata.Remove(kTokenizerKey);
      return;
  }
}

}  // namespace

FileFormat FormatByName(const std::string& path) {
  for (const Ending& ending : kEndings) {
    if (path.ends_with(ending.text)) return ending.format;
  }
  for (const std::string_view ending : {".mlpackage", ".mlmodelc", ".mlmodel"}) {
    if (!path.ends_with(ending)) continue;
    Fail(ErrorKind::kInput,
         "{}: CoreML models are read here and not written; the ending says what "
         "to write: .safetensors or .gguf",
         path);
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
  const Move move = MoveOf(model, format, options.layout);
  OutputModel output;
  if (!move.note.empty()) output.notes.push_back(move.note);
  output.tensors = TensorsOf(model, move);
  DescribeMove(model, move, format, output);
  TypeRules rules;
  rules.format = format;
  rules.type = TypeOf(format, options);
  rules.gguf_layout = move.direction == Direction::kToGguf;
  // A config.json that cannot be read is no reason not to save a model that
  // nobody asks for it.
  if (rules.type != nullptr && format == FileFormat::kGguf) {
    rules.facts = MixFactsOf(model, output.metadata);
  }
  for (OutputTensor& tensor : output.tensors) {
    ChooseType(model, rules, tensor);
  }
  AdaptMetadata(rules, output);
  return output;
}

}  // namespace tl

#include "format/lora_adapter.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>
#include <utility>

#include "base/error.h"
#include "format/companion.h"
#include "format/layout_change.h"
#include "format/load.h"
#include "format/lora_files.h"
#include "format/model_layout.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

constexpr char kWeights[] = "adapter_model.safetensors";
constexpr char kConfig[] = "adapter_config.json";

// Where a folder holds several files, as after training, PEFT's is the one.
Model Open(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return LoadModel(path);
  const fs::path folder(path);
  if (fs::exists(folder / kWeights, error)) {
    return LoadModel((folder / kWeights).string());
  }
  if (fs::exists(folder / "adapter_model.bin", error)) {
    Fail(ErrorKind::kInput,
         "{}: has adapter_model.bin but no {}; loading the former could run "
         "code, so save the adapter as SafeTensors",
         path, kWeights);
  }
  return LoadModel(path);
}

AdapterChanges ChangesOf(const Model& adapter, const Model& model,
                         double scale) {
  if (adapter.format() == "GGUF") return GgufChanges(adapter, model, scale);
  const auto config = adapter.FileBeside(kConfig);
  if (adapter.format() != "SafeTensors" || !config) {
    Fail(ErrorKind::kInput,
         "{}: is no adapter; PEFT's is {} beside {}, llama.cpp's a .gguf file",
         adapter.Label(), kWeights, kConfig);
  }
  return PeftChanges(adapter, ReadPeftConfig(*config), model, scale);
}

// Numbers that can be computed with as they are.
void CheckNumbers(const Model& model, const TensorEntry& entry) {
  const Companion companion = FindCompanion(model, entry);
  const bool computable = entry.dtype && IsComputable(*entry.dtype);
  if (computable && companion.reading == Reading::kPlain) return;
  const std::string what =
      companion.reading == Reading::kRefused
          ? companion.text
          : fmt::format("is {}, {}", entry.type_name(), companion.text);
  Fail(ErrorKind::kInput, "{}: tensor {} {}; no adapter can be merged with it",
       model.Label(), QuoteName(entry.name), what);
}

bool IsAmong(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

// An adapter means the embedding or the output, not one tensor that is both.
void CheckTied(const Model& adapter, const Model& model,
               const std::string& name) {
  constexpr std::string_view kEmbeddings[] = {
      "token_embd.weight", "model.embed_tokens.weight",
      "transformer.wte.weight", "wte.weight"};
  constexpr std::string_view kOutputs[] = {"output.weight", "lm_head.weight"};
  const auto is_there = [&](std::string_view tensor) {
    return model.Find(tensor) != nullptr;
  };
  const Family* family = TensorFamilyOf(ArchitectureOf(model));
  const bool encoder = family != nullptr && family->naming == Naming::kBert;
  const bool tied = !encoder && std::ranges::any_of(kEmbeddings, is_there) &&
                    std::ranges::none_of(kOutputs, is_there);
  if (!tied || (!IsAmong(name, kEmbeddings) && !IsAmong(name, kOutputs))) {
    return;
  }
  Fail(ErrorKind::kInput,
       "{}: changes {}, but {} has one tensor for its embedding and its "
       "output; an adapter of one of them cannot be merged",
       adapter.Label(), QuoteName(name), model.Label());
}

std::string Named(const AdapterMatrix& matrix) {
  return fmt::format("{} {}", QuoteName(matrix.entry.name),
                     ShapeText(matrix.entry.shape));
}

void CheckShape(const Model& adapter, const Model& model,
                const TensorEntry& weight, const AdapterMatrix& matrix) {
  if (matrix.shape() == weight.shape) return;
  Fail(ErrorKind::kInput, "{}: {} does not fit {} of {}, which is {}",
       adapter.Label(), Named(matrix), QuoteName(weight.name), model.Label(),
       ShapeText(weight.shape));
}

// Matrices, or one for each expert.
bool AreMatrices(const std::vector<int64_t>& left,
                 const std::vector<int64_t>& right) {
  if (left.size() != right.size()) return false;
  return left.size() == 2 || (left.size() == 3 && left[0] == right[0]);
}

void CheckProduct(const Model& adapter, const Model& model,
                  const TensorEntry& weight, const AdapterChange& change) {
  const std::vector<int64_t> left = change.left->shape();
  const std::vector<int64_t> right = change.right->shape();
  if (!AreMatrices(left, right)) {
    Fail(ErrorKind::kInput,
         "{}: {} and {} are no two matrices; others, as of a convolution, are "
         "not merged",
         adapter.Label(), Named(*change.left), Named(*change.right));
  }
  const size_t last = left.size() - 1;
  if (left[last] != right[last - 1] || left[last] == 0) {
    Fail(ErrorKind::kInput, "{}: {} and {} have the ranks {} and {}",
         adapter.Label(), Named(*change.left), Named(*change.right), left[last],
         right[last - 1]);
  }
  std::vector<int64_t> product = left;
  product[last] = right[last];
  if (product == weight.shape) return;
  Fail(ErrorKind::kInput, "{}: {} and {} make {} = {}, but {} of {} is {}",
       adapter.Label(), Named(*change.left), Named(*change.right), change.axes,
       ShapeText(product), QuoteName(weight.name), model.Label(),
       ShapeText(weight.shape));
}

void CheckMagnitude(const Model& adapter, const TensorEntry& weight,
                    const AdapterMatrix& magnitude) {
  const std::vector<int64_t> rows = {weight.shape[0]};
  if (magnitude.shape() == rows) return;
  Fail(ErrorKind::kInput, "{}: {} does not fit the {} rows of {}",
       adapter.Label(), Named(magnitude), weight.shape[0],
       QuoteName(weight.name));
}

void Check(const Model& adapter, const Model& model,
           const AdapterChange& change) {
  CheckTied(adapter, model, change.name);
  const TensorEntry* weight = model.Find(change.name);
  if (weight == nullptr) {
    Fail(ErrorKind::kInput,
         "{}: changes {}, which is not among the {} tensors "
         "of {}{}",
         adapter.Label(), QuoteName(change.name), model.size(), model.Label(),
         model.NearestText(change.name));
  }
  CheckNumbers(model, *weight);
  for (const auto* matrix :
       {&change.whole, &change.left, &change.right, &change.magnitude}) {
    if (!*matrix) continue;
    CheckNumbers(adapter, (*matrix)->entry);
    CheckChange((*matrix)->entry, (*matrix)->change);
  }
  if (!std::isfinite(change.scale)) {
    Fail(ErrorKind::kInput, "{}: {} would be scaled by {}", adapter.Label(),
         QuoteName(change.name), change.scale);
  }
  if (change.whole) CheckShape(adapter, model, *weight, *change.whole);
  if (change.left && !change.right) {
    CheckShape(adapter, model, *weight, *change.left);
  }
  if (change.right) CheckProduct(adapter, model, *weight, change);
  if (change.magnitude) CheckMagnitude(adapter, *weight, *change.magnitude);
}

}  // namespace

std::vector<int64_t> AdapterMatrix::shape() const {
  std::vector<int64_t> shape = entry.shape;
  if (change.transposed && shape.size() == 2) std::swap(shape[0], shape[1]);
  return shape;
}

TensorEntry AdapterMatrix::Made() const {
  if (change.none()) return entry;
  TensorEntry placed = entry;
  placed.shape = shape();
  return Changed(placed, change);
}

std::vector<AdapterChange> ReadAdapter(const std::string& path,
                                       const Model& model, double scale) {
  const Model adapter = Open(path);
  std::vector<AdapterChange> changes;
  for (auto& [name, change] : ChangesOf(adapter, model, scale)) {
    Check(adapter, model, change);
    changes.push_back(std::move(change));
  }
  if (changes.empty()) {
    Fail(ErrorKind::kInput, "{}: holds no tensors", adapter.Label());
  }
  adapter.CheckIntact();
  return changes;
}

bool HasGgufNames(const Model& model) {
  return !HasHuggingFaceNames(model) &&
         model.metadata().Find("general.architecture") != nullptr;
}

}  // namespace tl

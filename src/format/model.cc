#include "format/model.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "format/nearest.h"

namespace tl {
namespace {

constexpr size_t kLongestQuotedName = 200;
constexpr int64_t kConfigLimit = 16 << 20;  // real ones have a few KB

}  // namespace

std::string QuoteName(std::string_view name) {
  std::string text = "'";
  for (char c : name.substr(0, kLongestQuotedName)) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) {
      text += fmt::format("\\x{:02x}", code);
    } else {
      text += c;
    }
  }
  // A cut may fall inside a letter of several bytes: those go too.
  if (name.size() > kLongestQuotedName) {
    while ((text.back() & 0xc0) == 0x80) text.pop_back();
    if (text.back() & 0x80) text.pop_back();
    return fmt::format("{}...' ({} bytes)", text, name.size());
  }
  return text + "'";
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

Tensor TensorEntry::AsTensor() const {
  if (!dtype) {
    Fail(ErrorKind::kInput, "tensor {} has the unknown type {}",
         QuoteName(name), QuoteName(foreign_type));
  }
  if (shape.size() > static_cast<size_t>(kMaxRank)) {
    Fail(ErrorKind::kInput,
         "tensor {} has {} dimensions, at most {} can be computed with",
         QuoteName(name), shape.size(), kMaxRank);
  }
  return {*dtype, Device::kCpu, Shape::Of(shape),
          deferred ? deferred->Keep() : data};
}

TensorEntry TensorEntry::Fetched() const {
  TensorEntry fetched = *this;
  if (deferred) fetched.data = std::exchange(fetched.deferred, {})->Borrow();
  return fetched;
}

std::span<const std::byte> TensorEntry::StoredElements(int64_t begin,
                                                       int64_t end) const {
  return stored().subspan(BytesOf(*dtype, begin), BytesOf(*dtype, end - begin));
}

int64_t TensorEntry::ComputedBytes(DType computed) const {
  if (!dtype || !IsComputable(*dtype)) return 0;
  return IsPacked(*dtype) ? bytes : elements * ElementBytes(computed);
}

std::string Model::Label() const {
  return path_.empty() ? "the model" : fmt::format("'{}'", path_);
}

uint32_t Model::Position(std::string_view name) const {
  return index_.Find(name, [this](uint32_t position) {
    return std::string_view(tensors_[position].name);
  });
}

const TensorEntry* Model::Find(std::string_view name) const {
  const uint32_t position = Position(name);
  return position == NameIndex::kNone ? nullptr : &tensors_[position];
}

std::string Model::NearestText(std::string_view name) const {
  std::vector<std::string_view> names;
  for (const TensorEntry& entry : tensors_) names.push_back(entry.name);
  std::string hint;
  for (std::string_view near : NearestNames(name, names, 3)) {
    hint += (hint.empty() ? "; nearest: " : ", ") + QuoteName(near);
  }
  return hint;
}

const TensorEntry& Model::Get(std::string_view name) const {
  if (const TensorEntry* entry = Find(name)) return *entry;
  Fail(ErrorKind::kInput, "{} has no tensor {} among its {}{}", Label(),
       QuoteName(name), size(), NearestText(name));
}

const std::vector<uint32_t>& Model::ByName() const {
  if (by_name_.size() != tensors_.size()) {
    by_name_.resize(tensors_.size());
    std::iota(by_name_.begin(), by_name_.end(), 0);
    std::sort(by_name_.begin(), by_name_.end(), [this](uint32_t a, uint32_t b) {
      return tensors_[a].name < tensors_[b].name;
    });
  }
  return by_name_;
}

std::vector<const TensorEntry*> Model::TensorsBelow(
    std::string_view part) const {
  const std::string prefix = std::string(part) + ".";
  const auto& order = ByName();
  auto it = std::lower_bound(order.begin(), order.end(), prefix,
                             [this](uint32_t i, const std::string& text) {
                               return tensors_[i].name < text;
                             });
  std::vector<const TensorEntry*> found;
  for (; it != order.end() && tensors_[*it].name.starts_with(prefix); ++it) {
    found.push_back(&tensors_[*it]);
  }
  return found;
}

bool Model::HasPart(std::string_view part) const {
  if (Find(part) != nullptr) return true;
  const std::string prefix = std::string(part) + ".";
  const auto& order = ByName();
  const auto it = std::lower_bound(order.begin(), order.end(), prefix,
                                   [this](uint32_t i, const std::string& text) {
                                     return tensors_[i].name < text;
                                   });
  return it != order.end() && tensors_[*it].name.starts_with(prefix);
}

void Model::AddFile(const std::shared_ptr<const MappedFile>& file) {
  // Tensors of one file mostly come one after the other.
  if (file == nullptr || (!files_.empty() && files_.back() == file)) return;
  if (std::find(files_.begin(), files_.end(), file) == files_.end()) {
    files_.push_back(file);
  }
}

void Model::Reserve(int64_t count) {
  tensors_.reserve(count);
  index_.Reserve(count);
}

void Model::Add(TensorEntry entry) {
  if (Find(entry.name) != nullptr) {
    Fail(ErrorKind::kInput, "{}: two tensors are called {}",
         entry.file == nullptr ? Label() : entry.file->path(),
         QuoteName(entry.name));
  }
  tensors_.push_back(std::move(entry));
  index_.Insert(tensors_.back().name,
                static_cast<uint32_t>(tensors_.size() - 1));
  by_name_.clear();
  AddFile(tensors_.back().file);
}

void Model::Set(std::string_view name, TensorEntry entry) {
  entry.name = name;
  const uint32_t position = Position(name);
  if (position == NameIndex::kNone) return Add(std::move(entry));
  tensors_[position] = std::move(entry);
  AddFile(tensors_[position].file);
}

void Model::Set(std::string_view name, Tensor tensor) {
  TL_CHECK(tensor.device == Device::kCpu);
  TensorEntry entry;
  entry.dtype = tensor.dtype;
  for (Dim dim : tensor.shape.dims()) entry.shape.push_back(dim.value());
  entry.elements = tensor.size();
  entry.bytes = tensor.bytes();
  // A tensor of another model, or of this one, may be mapped all the same.
  entry.file = MappedFile::Containing(tensor.data.get());
  entry.data = std::move(tensor.data);
  Set(name, std::move(entry));
}

void Model::Remove(std::string_view name) {
  tensors_.erase(tensors_.begin() + (&Get(name) - tensors_.data()));
  index_.Clear();
  by_name_.clear();
  for (size_t i = 0; i < tensors_.size(); ++i) {
    index_.Insert(tensors_[i].name, static_cast<uint32_t>(i));
  }
}

void Model::CheckIntact() const {
  for (const auto& file : files_) file->CheckIntact();
}

std::optional<std::string> Model::FileBeside(std::string_view name) const {
  namespace fs = std::filesystem;
  if (path_.empty()) return std::nullopt;
  std::error_code error;
  const fs::path folder = fs::is_directory(path_, error)
                              ? fs::path(path_)
                              : fs::path(path_).parent_path();
  const fs::path file = folder / name;
  if (!fs::exists(file, error)) return std::nullopt;
  return file.string();
}

std::optional<std::string> Model::ConfigJson() const {
  const std::optional<std::string> config = FileBeside("config.json");
  if (!config) return std::nullopt;
  return ReadTextFile(*config, kConfigLimit);
}

}  // namespace tl

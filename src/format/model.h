// A model: tensors by name over mapped bytes, and metadata. Nothing is decoded:
// a tensor here is its stored type, shape and bytes, whatever the type; room
// interp turns it into numbers, after asking format/companion.h. The same for
// every format. Reading is format/load.h, writing format/save.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "format/deferred_bytes.h"
#include "format/metadata.h"
#include "format/name_index.h"
#include "tensor/tensor.h"

namespace tl {

struct TensorEntry {
  std::string name;
  // Nothing for a type that this build does not know; such a tensor is listed
  // and saved, and `foreign_type` is what its file calls the type.
  std::optional<DType> dtype;
  std::string foreign_type;
  std::vector<int64_t> shape;  // row-major, of any rank
  int64_t elements = 0;
  int64_t bytes = 0;
  // The first byte; read-only and at any alignment when it lies in `file`.
  std::shared_ptr<std::byte> data;
  std::shared_ptr<const MappedFile> file;  // null for bytes that were computed
  // Instead of `data`: bytes that are not computed yet, and how the file stores
  // what they are computed from, "4-bit table".
  std::shared_ptr<const DeferredBytes> deferred;
  std::string encoding;

  std::string_view type_name() const {
    return dtype ? Info(*dtype).name : std::string_view(foreign_type);
  }
  // Deferred bytes are computed now, and kept.
  std::span<const std::byte> stored() const {
    return {deferred ? deferred->Keep().get() : data.get(),
            static_cast<size_t>(bytes)};
  }
  // The bytes of elements begin to end, both at the boundary of a block. The
  // type is known.
  std::span<const std::byte> StoredElements(int64_t begin, int64_t end) const;
  // Of memory, once it is computed with: packed tensors stay as they are stored,
  // others are of that type. 0 for those that cannot be.
  int64_t ComputedBytes(DType computed) const;
  // In `file`.
  int64_t offset() const { return data.get() - file->bytes().data(); }
  // The same tensor with its bytes there. Deferred ones are computed for the
  // result alone: so a model larger than memory can be read tensor by tensor.
  TensorEntry Fetched() const;
  // The stored bytes as a tensor, not a copy. Fails for a foreign type and
  // above kMaxRank dimensions.
  Tensor AsTensor() const;
};

// What can be run of a model, beside its tensors; each format that holds such a
// thing derives its own (format/coreml.h), and only who runs it looks inside.
class ModelProgram {
 public:
  virtual ~ModelProgram() = default;
};

class Model {
 public:
  Model() = default;
  Model(std::string path, std::string_view format)
      : path_(std::move(path)), format_(format) {}
  Model(Model&&) = default;
  Model& operator=(Model&&) = default;
  Model(const Model&) = delete;  // share it: std::shared_ptr<Model>
  Model& operator=(const Model&) = delete;

  // As given to LoadModel(), or the one file that was found in that directory;
  // "" for a model that the program made.
  const std::string& path() const { return path_; }
  // "SafeTensors" or "GGUF"; "" for a model that the program made.
  std::string_view format() const { return format_; }
  // Of the format, as the file says it; 0 where it does not.
  int format_version() const { return format_version_; }
  void set_format_version(int version) { format_version_ = version; }
  // "'m.safetensors'", or "the model" where there is no path.
  std::string Label() const;

  // In the order of the file, new ones at the end. References stay good until
  // the next Set or Remove.
  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  int64_t size() const { return static_cast<int64_t>(tensors_.size()); }

  const TensorEntry* Find(std::string_view name) const;
  // Fails with the nearest names and how many there are.
  const TensorEntry& Get(std::string_view name) const;
  // "; nearest: 'a.weight', 'b.weight'", for messages; "" where none is near.
  std::string NearestText(std::string_view name) const;
  // Whether `part` or anything below it ("part.…") names a tensor.
  bool HasPart(std::string_view part) const;
  // The tensors below `part`, in name order, with their whole names.
  std::vector<const TensorEntry*> TensorsBelow(std::string_view part) const;

  // For loaders: room for so many tensors.
  void Reserve(int64_t count);
  // For loaders. Fails when the name is taken.
  void Add(TensorEntry entry);
  // Adds a host tensor, or replaces the one of this name in its place.
  void Set(std::string_view name, Tensor tensor);
  // The same with the stored bytes of a tensor of any model, of any type.
  void Set(std::string_view name, TensorEntry entry);
  // Fails as Get() when there is no such tensor. O(size).
  void Remove(std::string_view name);

  Metadata& metadata() { return metadata_; }
  const Metadata& metadata() const { return metadata_; }

  // Null where the format holds tensors only. Unchanged by Set() and Remove():
  // who runs it takes the tensors as the model has them then.
  const std::shared_ptr<const ModelProgram>& program() const {
    return program_;
  }
  void set_program(std::shared_ptr<const ModelProgram> program) {
    program_ = std::move(program);
  }

  // What was odd about the files, though not wrong; one line each.
  const std::vector<std::string>& notes() const { return notes_; }
  void AddNote(std::string note) { notes_.push_back(std::move(note)); }

  // The files behind the tensors, each once, in the order they were loaded, and
  // those that AddFile() was told of because they may hold no tensor.
  const std::vector<std::shared_ptr<const MappedFile>>& files() const {
    return files_;
  }
  void AddFile(const std::shared_ptr<const MappedFile>& file);
  // Fails if a file shrank or was written to since it was opened: what has
  // been read may be wrong. To be called after reading.
  void CheckIntact() const;

  // The path of the file of this name beside the model's, if there is one.
  std::optional<std::string> FileBeside(std::string_view name) const;
  // The text of config.json beside the model's file, if there is one.
  std::optional<std::string> ConfigJson() const;

 private:
  uint32_t Position(std::string_view name) const;
  const std::vector<uint32_t>& ByName() const;

  std::string path_;
  std::string_view format_;
  int format_version_ = 0;
  std::vector<TensorEntry> tensors_;
  NameIndex index_;
  // Indices in name order, made when first asked for; empty when outdated.
  mutable std::vector<uint32_t> by_name_;
  Metadata metadata_;
  std::shared_ptr<const ModelProgram> program_;
  std::vector<std::string> notes_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
};

// For messages: in single quotes, control characters escaped, long ones cut.
std::string QuoteName(std::string_view name);

// "[2, 3]"
std::string ShapeText(const std::vector<int64_t>& shape);

}  // namespace tl

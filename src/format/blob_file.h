// The weight files beside a CoreML program ("weights/weight.bin"): mapped, each
// opened when a constant first names it. A name that leads out of the model's
// folder is refused. What is in them is at the beginning of blob_file.cc.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/file.h"
#include "format/mil_type.h"

namespace tl {

struct Blob {
  std::shared_ptr<const MappedFile> file;
  std::span<const std::byte> bytes;
};

class BlobFiles {
 public:
  // `folder` is what "@model_path" stands for.
  explicit BlobFiles(std::string folder) : folder_(std::move(folder)) {}

  // The blob that `value` names, checked to be of this type. `what` names the
  // constant in messages.
  Blob Find(const coreml::spec::Value::BlobFile& value,
            const MilTensorType& type, const std::string& what);

  const std::map<std::string, std::shared_ptr<const MappedFile>>& files()
      const {
    return files_;
  }

 private:
  const std::shared_ptr<const MappedFile>& Open(const std::string& name,
                                                const std::string& what);

  std::string folder_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;  // by name
};

}  // namespace tl

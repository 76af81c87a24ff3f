// Room in memory for the messages of one CoreML model. An empty message has two
// bytes in a file and over a hundred in memory, so a file is not trusted with
// more than a multiple of its own size. Parsers build the messages in here and
// ask often whether they are too many; next: coreml_cut.h and mil_text.h.
#pragma once

#include <google/protobuf/arena.h>

#include <cstdint>
#include <memory>
#include <string>

#include "format/coreml.pb.h"

namespace tl {

class CoreMlMessages {
 public:
  // For a model whose `size` bytes are in the file at `path`.
  CoreMlMessages(std::string path, int64_t size);

  bool TooMany() const {
    return static_cast<int64_t>(arena_.SpaceAllocated()) > limit_;
  }
  [[noreturn]] void FailTooMany() const;
  void CheckNotTooMany() const {
    if (TooMany()) FailTooMany();
  }

  coreml::spec::Model& model() { return *model_; }

  // The model, which holds its room.
  static std::shared_ptr<coreml::spec::Model> ModelOf(
      std::shared_ptr<CoreMlMessages> messages);

 private:
  std::string path_;
  int64_t size_, limit_;
  google::protobuf::Arena arena_;
  coreml::spec::Model* model_;
};

}  // namespace tl

#include "format/coreml_messages.h"

#include <utility>

#include "base/error.h"

namespace tl {
namespace {

// Bytes of messages for each byte of a file. Those of real programs take 6
// to 13.
constexpr int64_t kBytesPerByte = 32;
// And for a small file, where the arena's first blocks count.
constexpr int64_t kAtLeast = 16 << 20;

}  // namespace

CoreMlMessages::CoreMlMessages(std::string path, int64_t size)
    : path_(std::move(path)),
      size_(size),
      limit_(kAtLeast + kBytesPerByte * size),
      model_(google::protobuf::Arena::CreateMessage<coreml::spec::Model>(
          &arena_)) {}

void CoreMlMessages::FailTooMany() const {
  Fail(ErrorKind::kInput,
       "{}: its {} bytes hold messages that need more than {} bytes of memory; "
       "real models need less than half of that",
       path_, size_, limit_);
}

std::shared_ptr<coreml::spec::Model> CoreMlMessages::ModelOf(
    std::shared_ptr<CoreMlMessages> messages) {
  coreml::spec::Model* model = messages->model_;
  return {std::move(messages), model};
}

}  // namespace tl

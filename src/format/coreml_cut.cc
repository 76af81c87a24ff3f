// A protobuf message is a row of fields. Each begins with a varint, the field's
// number << 3 | how its value is stored:
//   0  a varint              1  8 bytes
//   2  a length, that many bytes (a message, a text, bytes, packed numbers)
//   5  4 bytes
// https://protobuf.dev/programming-guides/encoding/

#include "format/coreml_cut.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "format/coreml_messages.h"

namespace tl {
namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::StringOutputStream;

// Messages within messages. Real models have about 10, protobuf stops at 100.
constexpr int kMaxDepth = 80;

enum WireType : uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kFixed32 = 5
};

// The messages on the way from the model to the numbers of its layers.
enum class Message {
  kModel,
  kWrappedPipeline,
  kPipeline,
  kNetwork,
  kLayer,
  kConvolution,
  kConvolution3d,
  kActivation,
  kPrelu,
  kMatrix,  // and embedding
  kBatchedMatmul,
  kBatchnorm,
  kLayerNorm,
  kScale,
  kData,  // bias and constants
  kRecurrent,
  kLstm,
  kLstmWeights,
  kCustom,
  kBranch,
  kLoop,
  kWeights,
};

// The fields `first` to `last` of `in` hold a message of kind `inside`.
struct Step {
  Message in;
  uint32_t first, last;
  Message inside;
};

constexpr auto kSteps = std::to_array<Step>({
    {Message::kModel, 200, 201, Message::kWrappedPipeline},
    {Message::kModel, 202, 202, Message::kPipeline},
    {Message::kModel, 303, 303, Message::kNetwork},
    {Message::kModel, 403, 403, Message::kNetwork},
    {Message::kModel, 500, 500, Message::kNetwork},
    {Message::kWrappedPipeline, 1, 1, Message::kPipeline},
    {Message::kPipeline, 1, 1, Message::kModel},
    {Message::kNetwork, 1, 1, Message::kLayer},
    {Message::kLayer, 100, 100, Message::kConvolution},
    {Message::kLayer, 130, 130, Message::kActivation},
    {Message::kLayer, 140, 140, Message::kMatrix},
    {Message::kLayer, 150, 150, Message::kMatrix},
    {Message::kLayer, 160, 160, Message::kBatchnorm},
    {Message::kLayer, 245, 245, Message::kScale},
    {Message::kLayer, 250, 250, Message::kData},
    {Message::kLayer, 290, 290, Message::kData},
    {Message::kLayer, 400, 400, Message::kRecurrent},
    {Message::kLayer, 410, 410, Message::kRecurrent},
    {Message::kLayer, 420, 420, Message::kLstm},
    {Message::kLayer, 430, 430, Message::kLstm},
    {Message::kLayer, 500, 500, Message::kCustom},
    {Message::kLayer, 605, 605, Message::kBranch},
    {Message::kLayer, 615, 615, Message::kLoop},
    {Message::kLayer, 1040, 1040, Message::kMatrix},
    {Message::kLayer, 1045, 1045, Message::kBatchedMatmul},
    {Message::kLayer, 1070, 1070, Message::kData},
    {Message::kLayer, 1350, 1350, Message::kLayerNorm},
    {Message::kLayer, 1471, 1471, Message::kConvolution3d},
    {Message::kConvolution, 90, 91, Message::kWeights},
    {Message::kConvolution3d, 60, 61, Message::kWeights},
    {Message::kActivation, 25, 25, Message::kPrelu},
    {Message::kActivation, 71, 71, Message::kPrelu},
    {Message::kPrelu, 1, 2, Message::kWeights},
    {Message::kMatrix, 20, 21, Message::kWeights},
    {Message::kBatchedMatmul, 8, 9, Message::kWeights},
    {Message::kBatchnorm, 15, 18, Message::kWeights},
    {Message::kLayerNorm, 3, 4, Message::kWeights},
    {Message::kScale, 2, 2, Message::kWeights},
    {Message::kScale, 5, 5, Message::kWeights},
    {Message::kData, 2, 2, Message::kWeights},
    {Message::kRecurrent, 10, 10, Message::kActivation},
    {Message::kRecurrent, 30, 72, Message::kWeights},
    {Message::kLstm, 10, 11, Message::kActivation},
    {Message::kLstm, 20, 20, Message::kLstmWeights},
    {Message::kLstmWeights, 1, 62, Message::kWeights},
    {Message::kCustom, 20, 20, Message::kWeights},
    {Message::kBranch, 1, 2, Message::kNetwork},
    {Message::kLoop, 3, 4, Message::kNetwork},
});

std::optional<Message> Inside(Message message, uint32_t field) {
  const auto step = std::ranges::find_if(kSteps, [&](const Step& s) {
    return s.in == message && s.first <= field && field <= s.last;
  });
  if (step == kSteps.end()) return std::nullopt;
  return step->inside;
}

// The fields of WeightParams that hold the numbers themselves.
bool HoldsNumbers(Message message, uint32_t field) {
  return message == Message::kWeights &&
         (field == 1 || field == 2 || field == 30 || field == 31);
}

// Fields of coreml.proto that are ours: what a file has there means nothing.
bool IsOurs(Message message, uint32_t field) {
  return (message == Message::kModel &&
          field == coreml::spec::Model::kOtherKindFieldNumber) ||
         (message == Message::kWeights &&
          field == coreml::spec::WeightParams::kCutFieldNumber);
}

// Kinds of model without tensors, which nobody reads.
bool IsOtherKind(Message message, uint32_t field) {
  constexpr uint32_t kFirstKind = 200, kLastKind = 4000;
  return message == Message::kModel && kFirstKind <= field &&
         field <= kLastKind && !Inside(message, field) &&
         field != coreml::spec::Model::kMlProgramFieldNumber;
}

// A text for protobuf's parser, which gets no more of it once what was parsed
// so far holds too many messages.
class Pieces final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  Pieces(std::string_view text, const CoreMlMessages& messages)
      : array_(text.data(), static_cast<int>(text.size()), kPiece),
        messages_(messages) {}

  bool Next(const void** data, int* size) override {
    return !messages_.TooMany() && array_.Next(data, size);
  }
  void BackUp(int count) override { array_.BackUp(count); }
  bool Skip(int count) override { return array_.Skip(count); }
  int64_t ByteCount() const override { return array_.ByteCount(); }

 private:
  static constexpr int kPiece = 16 << 10;  // becomes 2 MB at the worst

  google::protobuf::io::ArrayInputStream array_;
  const CoreMlMessages& messages_;
};

class Cutter {
 public:
  explicit Cutter(const MappedFile& file)
      : file_(file),
        in_(reinterpret_cast<const uint8_t*>(file.bytes().data()),
            static_cast<int>(file.size())) {}

  // The message without its numbers, up to the end of what may be read.
  std::string Cut(Message message, int depth) {
    if (depth > kMaxDepth) {
      Fail(ErrorKind::kInput,
           "{}: byte {}: messages are nested more than {} deep", file_.path(),
           in_.CurrentPosition(), kMaxDepth);
    }
    std::string text;
    StringOutputStream stream(&text);
    CodedOutputStream out(&stream);
    while (const uint32_t tag = in_.ReadTag()) Field(message, tag, depth, out);
    if (!in_.ConsumedEntireMessage()) FailDamaged("a field's number");
    out.Trim();
    return text;
  }

 private:
  void Field(Message message, uint32_t tag, int depth, CodedOutputStream& out) {
    switch (tag & 7) {
      case kVarint: {
        uint64_t value;
        if (!in_.ReadVarint64(&value)) FailDamaged("a number");
        if (IsOurs(message, tag >> 3)) return;
        out.WriteTag(tag);
        return out.WriteVarint64(value);
      }
      case kFixed64: {
        uint64_t value;
        if (!in_.ReadLittleEndian64(&value)) FailDamaged("a number");
        out.WriteTag(tag);
        return out.WriteLittleEndian64(value);
      }
      case kFixed32: {
        uint32_t value;
        if (!in_.ReadLittleEndian32(&value)) FailDamaged("a number");
        out.WriteTag(tag);
        return out.WriteLittleEndian32(value);
      }
      case kBytes:
        return Bytes(message, tag, depth, out);
    }
    Fail(ErrorKind::kInput,
         "{}: byte {}: field {} has the unknown wire type {}", file_.path(),
         in_.CurrentPosition(), tag >> 3, tag & 7);
  }

  void Bytes(Message message, uint32_t tag, int depth, CodedOutputStream& out) {
    const uint32_t field = tag >> 3;
    uint32_t size;
    if (!in_.ReadVarint32(&size)) FailDamaged("a length");
    const int64_t begin = in_.CurrentPosition();
    const int64_t left = in_.BytesUntilLimit() >= 0 ? in_.BytesUntilLimit()
                                                    : file_.size() - begin;
    if (size > left) {
      Fail(ErrorKind::kInput,
           "{}: byte {}: field {} has {} bytes, but only {} follow; the file "
           "is damaged or incomplete",
           file_.path(), begin, field, size, left);
    }
    if (const auto inside = Inside(message, field)) {
      const auto limit = in_.PushLimit(static_cast<int>(size));
      const std::string text = Cut(*inside, depth + 1);
      in_.PopLimit(limit);
      return WriteBytes(tag, text.data(), text.size(), out);
    }
    in_.Skip(static_cast<int>(size));
    if (HoldsNumbers(message, field)) return WriteCut(field, begin, size, out);
    if (IsOurs(message, field)) return;
    if (IsOtherKind(message, field)) {
      out.WriteTag(coreml::spec::Model::kOtherKindFieldNumber << 3 | kVarint);
      return out.WriteVarint32(field);
    }
    WriteBytes(tag, file_.bytes().data() + begin, size, out);
  }

  static void WriteBytes(uint32_t tag, const void* data, size_t size,
                         CodedOutputStream& out) {
    out.WriteTag(tag);
    out.WriteVarint32(static_cast<uint32_t>(size));
    out.WriteRaw(data, static_cast<int>(size));
  }

  static void WriteCut(uint32_t field, int64_t offset, uint32_t size,
                       CodedOutputStream& out) {
    coreml::spec::WeightParams::Cut cut;
    cut.set_field(field);
    cut.set_offset(static_cast<uint64_t>(offset));
    cut.set_size(size);
    const std::string text = cut.SerializeAsString();
    WriteBytes(coreml::spec::WeightParams::kCutFieldNumber << 3 | kBytes,
               text.data(), text.size(), out);
  }

  [[noreturn]] void FailDamaged(std::string_view what) {
    Fail(ErrorKind::kInput,
         "{}: byte {}: {} is damaged, or the file ends inside it", file_.path(),
         in_.CurrentPosition(), what);
  }

  const MappedFile& file_;
  CodedInputStream in_;
};

}  // namespace

std::shared_ptr<coreml::spec::Model> ParseCoreMlSpec(const MappedFile& file) {
  if (file.size() > INT_MAX) {
    Fail(ErrorKind::kInput,
         "{}: {} bytes, at most {} can be in one CoreML model file",
         file.path(), file.size(), INT_MAX);
  }
  const std::string text = Cutter(file).Cut(Message::kModel, 0);
  auto messages =
      std::make_shared<CoreMlMessages>(file.path(), file.size());
  Pieces pieces(text, *messages);
  const google::protobuf::LogSilencer silencer;  // the message is ours
  const bool parsed = messages->model().ParseFromZeroCopyStream(&pieces);
  messages->CheckNotTooMany();
  if (!parsed) {
    Fail(ErrorKind::kInput,
         "{}: is damaged: a text is not UTF-8, a message does not end where it "
         "should, or messages are nested more than 100 deep",
         file.path());
  }
  return CoreMlMessages::ModelOf(std::move(messages));
}

}  // namespace tl

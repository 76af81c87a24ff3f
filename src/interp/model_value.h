// The values behind a model and a part of one. Used by models.cc only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/hash.h"
#include "format/companion.h"
#include "format/model.h"
#include "format/model_layout.h"
#include "graph/builder.h"
#include "interp/predict.h"
#include "interp/tensors.h"
#include "interp/value.h"

namespace tl {

class TensorRuntime;

// A model that a program has open: the file's model, and the lazy tensors that
// were asked for, each made once.
class OpenModel {
 public:
  // Told of which tensor each conversion is.
  using ConversionListener =
      std::function<void(const Node& conversion, const std::string& name)>;

  OpenModel(ModelLayout layout, DType dtype, TensorRuntime& runtime,
            ConversionListener on_conversion)
      : model_(std::move(layout.model)),
        changes_(std::move(layout.changes)),
        dtype_(dtype),
        runtime_(runtime),
        on_conversion_(std::move(on_conversion)) {}

  // Where it has another layout than its file, the bytes of some tensors are
  // still those of the file until Settle().
  const Model& model() const { return model_; }
  DType dtype() const { return dtype_; }

  // Fails for a missing name, and for a type that cannot be computed with.
  TensorRef Get(std::string_view name);
  void Set(std::string_view name, const Value& tensor);
  void Remove(std::string_view name);
  // The stored tensor as the layout has it; good until the next change.
  const TensorEntry& Stored(std::string_view name);
  // Other bytes for a tensor that is there.
  void Replace(std::string_view name, TensorEntry entry);
  std::shared_ptr<OpenModel> Copy() const;
  // What the model says of itself (format/config.h), as a map.
  const Value& Config();
  // For CoreML models; made when first asked for. Fails for all others.
  ModelRunner& Runner();
  // A handle, made when first asked for. Fails for a model without one.
  Value Tokenizer();
  // Makes all tensors what the layout says.
  void Settle();
  // Another number after each change of what the model has.
  int64_t version() const { return version_; }
  // Before the bytes there are placed on a device with memory of its own. False
  // if they are not this model's. Fails if the device has no room for all
  // tensors, once it is to have more than a few of them.
  bool BeforePlacing(const std::byte* data);

 private:
  void Settle(std::string_view name);
  int64_t WholeBytes() const;  // of all tensors, as they are computed with
  void RequireRoom(int64_t whole);
  // Whether `tensor` is one that a file stores, unchanged; it is then set.
  bool KeepStored(std::string_view name, const TensorRef& tensor);
  TensorRef Decode(const TensorEntry& entry, DType dtype);
  TensorRef Convert(const TensorRef& x, DType dtype, const std::string& name);
  TensorRef Scale(const Companion& companion);
  TensorRef Scaled(const TensorEntry& entry, const Companion& companion);

  Model model_;
  // What the layout does to tensors that nobody has asked for yet.
  std::unordered_map<std::string, RowChange> changes_;
  DType dtype_;
  TensorRuntime& runtime_;
  ConversionListener on_conversion_;
  std::unordered_map<std::string, TensorRef> tensors_;
  std::unique_ptr<ModelRunner> runner_;
  Value tokenizer_;
  Value config_;  // none until it is asked for
  int64_t version_ = 0;
  // Bytes that a device has of its tensors; whether it has room for them all.
  int64_t placed_ = 0;
  bool has_room_ = false;
};

// A model, or the part of it below a prefix ("blk.0"; "" is all of it).
class ModelValue final : public Handle {
 public:
  ModelValue(std::shared_ptr<OpenModel> open, std::string prefix)
      : open_(std::move(open)), prefix_(std::move(prefix)) {}

  static Value Make(std::shared_ptr<OpenModel> open, std::string prefix = "") {
    return Value::Adopt(new ModelValue(std::move(open), std::move(prefix)));
  }

  OpenModel& open() const { return *open_; }
  bool whole() const { return prefix_.empty(); }
  // The whole name of a tensor of this part.
  std::string Name(std::string_view name) const;
  std::vector<std::string> Names() const;  // as this part calls them

  std::string_view type_name() const override { return "model"; }
  TypeKind type() const override { return TypeKind::kModel; }
  std::string ToString() const override;
  Value FindMember(std::string_view name) const override;
  [[noreturn]] void FailMember(std::string_view name) const override;
  bool IsMethod(std::string_view name) const override;
  Value CallMethod(std::string_view name, std::span<const Value> arguments,
                   const std::vector<std::string>& names) override;
  Value Index(const Value& key) const override;
  void SetIndex(const Value& key, const Value& to) override;
  bool Contains(const Value& key) const override;
  int64_t Length() const override;
  std::vector<Value> Items() const override;
  void Remove(const Value& key) override;
  Value Copy() const override;

 private:
  struct HashOfText {
    using is_transparent = void;
    size_t operator()(std::string_view text) const {
      return tl::HashText(text);
    }
  };
  using Members =
      std::unordered_map<std::string, Value, HashOfText, std::equal_to<>>;

  // Unset where there is neither.
  Value TensorOrPart(std::string_view name) const;
  // What can follow this part's name: "0" and "1" of "blk".
  std::vector<std::string> PartNames() const;
  [[noreturn]] void FailPart(std::string_view part) const;

  std::shared_ptr<OpenModel> open_;
  std::string prefix_;
  // The tensors and parts that were asked for, as the model had them at that
  // version: a program asks for all of them again for each token.
  mutable Members members_;
  mutable int64_t version_ = 0;
};

}  // namespace tl

// `m.metadata`: a map to read, whose values are made when they are asked for. A
// vocabulary of 100,000 strings is never built for a question about the name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "interp/model_value.h"

namespace tl {

class MetadataView final : public Handle {
 public:
  explicit MetadataView(std::shared_ptr<OpenModel> open)
      : open_(std::move(open)) {}

  static Value Make(std::shared_ptr<OpenModel> open) {
    return Value::Adopt(new MetadataView(std::move(open)));
  }

  std::string_view type_name() const override { return "map"; }
  TypeKind type() const override { return TypeKind::kMap; }
  // As a map, but for arrays: "[32000 strings]".
  std::string ToString() const override;
  Value FindMember(std::string_view name) const override;
  [[noreturn]] void FailMember(std::string_view name) const override;
  Value Index(const Value& key) const override;
  void SetIndex(const Value& key, const Value& to) override;
  bool Contains(const Value& key) const override;
  int64_t Length() const override;
  std::vector<Value> Items() const override;
  Value Copy() const override;  // a map of its own, with everything in it

 private:
  const Metadata& metadata() const { return open_->model().metadata(); }

  std::shared_ptr<OpenModel> open_;
};

}  // namespace tl

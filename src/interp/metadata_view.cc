#include "interp/metadata_view.h"

#include "base/error.h"
#include "format/metadata.h"
#include "format/nearest.h"
#include "interp/format_value.h"
#include "interp/map.h"

namespace tl {
namespace {

Value ToValue(MetadataItem item) {
  if (const auto text = item.Text()) return Value::String(std::string(*text));
  if (const auto flag = item.Bool()) return Value::Bool(*flag);
  if (const auto integer = item.Int()) return Value::Int(*integer);
  // No number of a program is exactly this one.
  if (const auto large = item.LargeInt()) {
    return Value::String(fmt::format("{}", *large));
  }
  return Value::Float(item.Real().value());
}

Value ToValue(const MetadataValue& value) {
  if (!value.is_array()) return ToValue(value.item());
  std::vector<Value> items;
  for (MetadataItem item : value.array()) items.push_back(ToValue(item));
  return Value::List(std::move(items));
}

std::string ShortText(const MetadataValue& value) {
  if (value.is_array()) {
    const MetadataArray array = value.array();
    return fmt::format("[{} {}s]", array.size(), Info(array.kind()).name);
  }
  if (const auto text = value.Text()) return Quoted(*text);
  if (const auto flag = value.Bool()) return *flag ? "true" : "false";
  if (const auto integer = value.Int()) return fmt::format("{}", *integer);
  if (const auto large = value.item().LargeInt()) {
    return fmt::format("{}", *large);
  }
  return FloatText(*value.Real());
}

}  // namespace

std::string MetadataView::ToString() const {
  std::vector<std::string> entries;
  for (const auto& [key, value] : metadata()) {
    entries.push_back(fmt::format("{}: {}", Quoted(key), ShortText(value)));
  }
  return fmt::format("{{{}}}", fmt::join(entries, ", "));
}

Value MetadataView::FindMember(std::string_view name) const {
  const MetadataValue* value = metadata().Find(name);
  return value == nullptr ? Value::Unset() : ToValue(*value);
}

void MetadataView::FailMember(std::string_view name) const {
  std::vector<std::string_view> names;
  for (const MetadataEntry& entry : metadata()) names.push_back(entry.key);
  std::string hint;
  for (std::string_view near : NearestNames(name, names, 3)) {
    hint += (hint.empty() ? "; nearest: " : ", ") + QuoteName(near);
  }
  Fail(ErrorKind::kProgram, "the metadata of {} has no key {}{}",
       open_->model().Label(), QuoteName(name), hint);
}

void MetadataView::SetIndex(const Value&, const Value&) {
  Fail(ErrorKind::kProgram,
       "the metadata of {} cannot be changed; copy(m.metadata) makes a map of "
       "its own",
       open_->model().Label());
}

Value MetadataView::Index(const Value& key) const {
  if (!key.is_string()) {
    Fail(ErrorKind::kProgram, "a key of metadata is a string, not a {}",
         TypeName(key));
  }
  Value found = FindMember(key.as_string());
  if (found.is_unset()) FailMember(key.as_string());
  return found;
}

bool MetadataView::Contains(const Value& key) const {
  return key.is_string() && metadata().Find(key.as_string()) != nullptr;
}

int64_t MetadataView::Length() const { return metadata().size(); }

std::vector<Value> MetadataView::Items() const {
  std::vector<Value> keys;
  for (const MetadataEntry& entry : metadata()) {
    keys.push_back(Value::String(entry.key));
  }
  return keys;
}

Value MetadataView::Copy() const {
  Value map = Value::Map();
  for (const auto& [key, value] : metadata()) {
    map.OwnMap().At(Value::String(key)) = ToValue(value);
  }
  return map;
}

}  // namespace tl

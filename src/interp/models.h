// Models as values of a program: opening and saving them, their tensors as lazy
// tensors, their parts (`m.blk[0]`), and the headers that the checker asks for.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "interp/value.h"
#include "lang/header_source.h"

namespace tl {

class TensorRuntime;
class OpenModel;
struct DecodeCounts;
class Node;

class Models final : public HeaderSource {
 public:
  explicit Models(TensorRuntime& runtime);
  ~Models() override;

  // `dtype`: "float16", "float32", or none for float16. `strict`: converts
  // everything now and fails if anything is lost.
  // `layout`: "hf" for Hugging Face's names and rows, "" for the file's.
  Value Load(const std::string& path, const Value& dtype, bool strict,
             const std::string& layout);
  Value New();
  // `type`: one of format/file_type.h, "" for the types that are stored.
  void Save(const Value& model, const std::string& path,
            const std::string& type);

  // A model that shares with this one all tensors but those that the adapter
  // changes.
  Value ApplyLora(const Value& model, const std::string& path, double scale);

  static bool IsModel(const Value& value);  // or a part of one

  std::shared_ptr<const ModelHeader> Find(const std::string& path) override;

  // What conversions lost, beyond what was said when it happened: one line on
  // standard error, at the end of the program.
  void ReportLosses();

 private:
  void ConvertAll(OpenModel& open);
  void OnDecode(const Node& conversion, const DecodeCounts& counts);
  void OnPlace(const Node& leaf);
  Value Add(std::shared_ptr<OpenModel> open);

  TensorRuntime& runtime_;
  // Which tensor of which model a conversion is of.
  std::unordered_map<const Node*, std::string> conversions_;
  std::vector<std::weak_ptr<OpenModel>> open_;
  int lossy_tensors_ = 0;
  bool strict_ = false;  // a loss is an error
  std::unordered_map<std::string, std::shared_ptr<const ModelHeader>> headers_;
};

}  // namespace tl

#include "interp/tokenizer_files.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "format/hf_chat_templates.h"
#include "format/hf_metadata.h"
#include "format/load.h"
#include "interp/tokenizer_value.h"

namespace tl {
namespace {

constexpr char kTokenizerJson[] = "tokenizer.json";

// Reads keys of one kind each; what is there must be of that kind.
class KeyReader {
 public:
  KeyReader(const Metadata& metadata, const std::string& label)
      : metadata_(metadata), label_(label) {}

  std::optional<std::string> Text(std::string_view key) const {
    const MetadataValue* value = Find(key);
    if (!value) return std::nullopt;
    const auto text = value->is_array() ? std::nullopt : value->Text();
    if (!text) FailKind(key, "a string");
    return std::string(*text);
  }

  std::optional<bool> Flag(std::string_view key) const {
    const MetadataValue* value = Find(key);
    if (!value) return std::nullopt;
    const auto flag = value->is_array() ? std::nullopt : value->Bool();
    if (!flag) FailKind(key, "true or false");
    return flag;
  }

  // Writers put -1 where there is no such token.
  std::optional<int64_t> Id(std::string_view key) const {
    const MetadataValue* value = Find(key);
    if (!value) return std::nullopt;
    const auto number = value->is_array() ? std::nullopt : value->Int();
    if (!number) FailKind(key, "a whole number");
    if (*number == -1 || *number == int64_t{UINT32_MAX}) return std::nullopt;
    return number;
  }

  std::optional<std::vector<std::string_view>> Texts(
      std::string_view key) const {
    return Items<std::string_view>(
        key, "strings", [](const MetadataItem& item) { return item.Text(); });
  }
  std::optional<std::vector<float>> Reals(std::string_view key) const {
    return Items<float>(key, "numbers",
                        [](const MetadataItem& item) { return item.Real(); });
  }
  std::optional<std::vector<int32_t>> Ints(std::string_view key) const {
    return Items<int32_t>(key, "whole numbers",
                          [](const MetadataItem& item) { return item.Int(); });
  }

  std::optional<std::string> Bytes(std::string_view key) const {
    const MetadataValue* value = Find(key);
    if (!value) return std::nullopt;
    const bool bytes =
        value->is_array() && (value->array().kind() == MetadataKind::U8 ||
                              value->array().kind() == MetadataKind::I8);
    if (!bytes) FailKind(key, "an array of bytes");
    const auto all = value->array().bytes();
    return std::string(reinterpret_cast<const char*>(all.data()), all.size());
  }

 private:
  const MetadataValue* Find(std::string_view key) const {
    return metadata_.Find(fmt::format("tokenizer.ggml.{}", key));
  }

  [[noreturn]] void FailKind(std::string_view key,
                             std::string_view expected) const {
    Fail(ErrorKind::kInput, "{}: tokenizer.ggml.{} is not {}", label_, key,
         expected);
  }

  template <class T, class F>
  std::optional<std::vector<T>> Items(std::string_view key,
                                      std::string_view expected, F read) const {
    const MetadataValue* value = Find(key);
    if (!value) return std::nullopt;
    const std::string what = fmt::format("an array of {}", expected);
    if (!value->is_array()) FailKind(key, what);
    std::vector<T> items;
    items.reserve(static_cast<size_t>(value->array().size()));
    for (const MetadataItem& item : value->array()) {
      const auto read_item = read(item);
      if (!read_item) FailKind(key, what);
      items.push_back(static_cast<T>(*read_item));
    }
    return items;
  }

  const Metadata& metadata_;
  const std::string& label_;
};

std::string TextOfFile(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return "";
  return ReadTextFile(path.string(), kMaxFileBeside);
}

bool IsJson(const std::string& path) {
  const auto file = MappedFile::Open(path);
  for (std::byte byte : file->bytes()) {
    const char c = static_cast<char>(byte);
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return c == '{';
  }
  return false;
}

// What a file does not say of its special tokens, their numbers do.
void AddSpecialTokens(const Tokenizer& tokenizer, ChatTemplates& chat) {
  if (!chat.special_tokens.empty()) return;
  const SpecialIds& special = tokenizer.special();
  const std::pair<const char*, std::optional<TokenId>> tokens[] = {
      {"bos_token", special.bos},
      {"eos_token", special.eos},
      {"unk_token", special.unknown},
      {"pad_token", special.pad}};
  for (const auto& [name, id] : tokens) {
    if (id) chat.special_tokens.emplace_back(name, tokenizer.TokenText(*id));
  }
}

Value MakeValue(Tokenizer tokenizer, ChatTemplates chat,
                const std::string& source) {
  AddSpecialTokens(tokenizer, chat);
  return Value::Adopt(new TokenizerValue(
      std::make_shared<const Tokenizer>(std::move(tokenizer)),
      std::make_shared<const ChatTemplates>(std::move(chat)), source));
}

Value LoadJson(const std::string& path) {
  const TokenizerJsonFiles files = TokenizerJsonFilesAt(path);
  return MakeValue(ReadTokenizerJson(files), ChatTemplatesBeside(files), path);
}

}  // namespace

GgufVocabulary GgufVocabularyOf(const Metadata& metadata,
                                const std::string& label) {
  const KeyReader keys(metadata, label);
  GgufVocabulary file;
  file.label = label;
  file.model = keys.Text("model").value_or("");
  file.pre = keys.Text("pre");
  file.tokens = keys.Texts("tokens").value_or(std::vector<std::string_view>());
  file.scores = keys.Reals("scores");
  file.token_types = keys.Ints("token_type");
  file.merges = keys.Texts("merges");
  file.precompiled_charsmap = keys.Bytes("precompiled_charsmap");
  file.bos_token_id = keys.Id("bos_token_id");
  file.eos_token_id = keys.Id("eos_token_id");
  file.eot_token_id = keys.Id("eot_token_id");
  file.eom_token_id = keys.Id("eom_token_id");
  file.unknown_token_id = keys.Id("unknown_token_id");
  file.separator_token_id = keys.Id("seperator_token_id");
  file.padding_token_id = keys.Id("padding_token_id");
  file.cls_token_id = keys.Id("cls_token_id");
  file.add_bos_token = keys.Flag("add_bos_token");
  file.add_eos_token = keys.Flag("add_eos_token");
  file.add_sep_token = keys.Flag("add_sep_token");
  file.add_space_prefix = keys.Flag("add_space_prefix");
  file.remove_extra_whitespaces = keys.Flag("remove_extra_whitespaces");
  file.lowercase = keys.Flag("normalizer.lowercase");
  file.strip_accents = keys.Flag("normalizer.strip_accents");
  return file;
}

TokenizerJsonFiles TokenizerJsonFilesAt(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  TokenizerJsonFiles files;
  files.label = path;
  files.tokenizer = ReadTextFile(path, kMaxFileBeside);
  files.tokenizer_config = TextOfFile(folder / "tokenizer_config.json");
  files.model_config = TextOfFile(folder / "config.json");
  files.generation_config = TextOfFile(folder / "generation_config.json");
  return files;
}

ChatTemplates ChatTemplatesOf(const Metadata& metadata) {
  return {.templates = TemplatesIn(metadata), .special_tokens = {}};
}

ChatTemplates ChatTemplatesBeside(const TokenizerJsonFiles& files) {
  const auto folder = std::filesystem::path(files.label).parent_path();
  ChatTemplates found;
  if (!files.tokenizer_config.empty()) {
    found = ReadChatTemplates(files.tokenizer_config,
                              (folder / "tokenizer_config.json").string());
  }
  NamedTemplates of_files = TemplateFilesIn(folder.string());
  if (!of_files.empty()) found.templates = std::move(of_files);
  return found;
}

Value LoadTokenizer(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    const auto inside = std::filesystem::path(path) / kTokenizerJson;
    if (std::filesystem::exists(inside, ignored)) {
      return LoadJson(inside.string());
    }
  } else if (IsJson(path)) {
    return LoadJson(path);
  }
  return TokenizerOf(LoadModel(path));
}

Value TokenizerOf(const Model& model) {
  const Metadata& metadata = model.metadata();
  const std::string label = model.path().empty() ? "the model" : model.path();
  const auto kind = metadata.Text(kGgufTokenizerModel);
  // A model that was only given the layout of GGUF has its own file still.
  const bool gguf = model.format() == "GGUF";
  const auto beside = gguf ? std::nullopt : model.FileBeside(kTokenizerJson);
  if (beside) return LoadJson(*beside);
  if (kind && *kind != "none" && *kind != "no_vocab") {
    return MakeValue(MakeGgufTokenizer(GgufVocabularyOf(metadata, label)),
                     ChatTemplatesOf(metadata), label);
  }
  if (const auto json = metadata.Text(kTokenizerKey)) {
    TokenizerJsonFiles files;
    files.label = label + ": " + kTokenizerKey;
    files.tokenizer = *json;
    return MakeValue(ReadTokenizerJson(files), ChatTemplatesOf(metadata),
                     label);
  }
  if (gguf && !kind) {
    Fail(ErrorKind::kInput, "{} has no tokenizer: its metadata lacks {}",
         model.Label(), kGgufTokenizerModel);
  }
  if (kind) {
    Fail(ErrorKind::kInput,
         "{} has no tokenizer: its metadata says that {} is "
         "'{}'",
         model.Label(), kGgufTokenizerModel, *kind);
  }
  Fail(ErrorKind::kInput, "{} has no tokenizer: there is no {} beside it",
       model.Label(), kTokenizerJson);
}

}  // namespace tl

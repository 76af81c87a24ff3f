#include "cli/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

#include "lang/token.h"

namespace tl {
namespace {

constexpr size_t kNone = std::string_view::npos;

bool IsNameByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalnum(byte) || c == '_' || byte >= 0x80;
}

size_t NameBegin(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0 && IsNameByte(text[begin - 1])) --begin;
  return begin;
}

bool IsName(std::string_view text) {
  return !text.empty() && NameBegin(text) == 0 &&
         !std::isdigit(static_cast<unsigned char>(text[0]));
}

// Where the string begins that is open at the end of `text`, or kNone.
size_t OpenString(std::string_view text) {
  size_t open = kNone;
  for (size_t i = 0; i < text.size(); ++i) {
    if (open != kNone && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      open = open == kNone ? i : kNone;
    } else if (open == kNone && text.substr(i, 2) == "//") {
      return kNone;
    }
  }
  return open;
}

std::string_view TrimmedRight(std::string_view text) {
  const size_t last = text.find_last_not_of(" \t");
  return last == kNone ? "" : text.substr(0, last + 1);
}

// `m` if `text` ends in `m[`, `m.get_tensor(`, `m.has(` or `get_tensor(m,`.
std::string ModelOfKey(std::string_view text) {
  text = TrimmedRight(text);
  for (std::string_view end : {"[", ".get_tensor(", ".has(", ".remove("}) {
    if (!text.ends_with(end)) continue;
    text.remove_suffix(end.size());
    return std::string(text.substr(NameBegin(text)));
  }
  if (!text.ends_with(',')) return "";
  text = TrimmedRight(text.substr(0, text.size() - 1));
  const size_t begin = NameBegin(text);
  const std::string_view call = TrimmedRight(text.substr(0, begin));
  for (std::string_view function : {"get_tensor(", "has(", "remove("}) {
    if (call.ends_with(function)) return std::string(text.substr(begin));
  }
  return "";
}

TypedWord InString(std::string_view before, size_t quote) {
  TypedWord word;
  word.begin = quote + 1;
  word.variable = ModelOfKey(before.substr(0, quote));
  word.place = word.variable.empty() ? TypedWord::Place::kFile
                                     : TypedWord::Place::kTensorName;
  return word;
}

// `m.blk[0]` before a dot: the variable and the part of it.
bool ReadOwner(std::string_view text, TypedWord& word) {
  std::string part;
  while (true) {
    if (text.ends_with(']')) {
      const size_t open = text.rfind('[');
      if (open == kNone) return false;
      const std::string_view index =
          text.substr(open + 1, text.size() - open - 2);
      if (index.empty() || index.find_first_not_of("0123456789") != kNone) {
        return false;
      }
      part = fmt::format("{}.{}", index, part);
      text = text.substr(0, open);
      continue;
    }
    const size_t begin = NameBegin(text);
    const std::string_view name = text.substr(begin);
    if (name.empty()) return false;
    if (begin == 0 || text[begin - 1] != '.') {
      word.variable = name;
      word.part = part.substr(0, part.empty() ? 0 : part.size() - 1);
      return IsName(name);
    }
    part = fmt::format("{}.{}", name, part);
    text = text.substr(0, begin - 1);
  }
}

// Those of `names` that begin with `typed`, sorted, each once.
std::vector<std::string> BeginningWith(std::string_view typed,
                                       std::vector<std::string> names) {
  std::erase_if(names, [typed](const std::string& name) {
    return !name.starts_with(typed);
  });
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<std::string> AllNames(NamesInScope& scope) {
  std::vector<std::string> names = scope.Names();
  for (std::string_view name : BuiltinNames()) names.emplace_back(name);
  for (std::string_view word : {
#define TL_TOKEN(id, spelling, name, power) std::string_view(spelling),
#include "lang/tokens.def"
       }) {
    if (IsName(word)) names.emplace_back(word);
  }
  return names;
}

// After `m.`: members, and the next pieces of tensor names.
std::vector<std::string> MemberNames(const TypedWord& word,
                                     NamesInScope& scope) {
  std::vector<std::string> names;
  const std::string below = word.part.empty() ? "" : word.part + ".";
  for (const std::string& name : scope.TensorNames(word.variable)) {
    if (!name.starts_with(below)) continue;
    const std::string_view rest = std::string_view(name).substr(below.size());
    const std::string_view piece = rest.substr(0, rest.find('.'));
    if (IsName(piece)) names.emplace_back(piece);
  }
  const auto kind =
      word.part.empty() ? scope.KindOf(word.variable) : std::nullopt;
  for (const MemberInfo& member : Members()) {
    if (kind == member.owner) names.emplace_back(member.name);
  }
  return names;
}

// The last component of `path` may be anything in its directory.
Completion CompleteFile(std::string_view path, size_t begin) {
  const size_t slash = path.rfind('/');
  const std::string_view typed = slash == kNone ? path : path.substr(slash + 1);
  const std::string directory(slash == kNone ? std::string_view(".")
                                             : path.substr(0, slash + 1));
  Completion found;
  found.begin = begin + path.size() - typed.size();
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  for (; !error && entries != std::filesystem::directory_iterator();
       entries.increment(error)) {
    std::string name = entries->path().filename().string();
    if (name.starts_with('.') && !typed.starts_with('.')) continue;
    std::error_code ignored;
    if (entries->is_directory(ignored)) name += '/';
    found.words.push_back(std::move(name));
  }
  found.words = BeginningWith(typed, std::move(found.words));
  return found;
}

}  // namespace

TypedWord FindTypedWord(std::string_view before) {
  const size_t quote = OpenString(before);
  if (quote != kNone) return InString(before, quote);
  TypedWord word;
  word.begin = NameBegin(before);
  if (word.begin > 0 && before[word.begin - 1] == '.') {
    if (ReadOwner(before.substr(0, word.begin - 1), word)) {
      word.place = TypedWord::Place::kMember;
    }
  } else if (IsName(before.substr(word.begin))) {
    word.place = TypedWord::Place::kName;
  }
  return word;
}

Completion Complete(std::string_view before, NamesInScope& scope) {
  const TypedWord word = FindTypedWord(before);
  const std::string_view typed = before.substr(word.begin);
  Completion found;
  found.begin = word.begin;
  switch (word.place) {
    case TypedWord::Place::kName:
      found.words = BeginningWith(typed, AllNames(scope));
      return found;
    case TypedWord::Place::kMember:
      found.words = BeginningWith(typed, MemberNames(word, scope));
      return found;
    case TypedWord::Place::kTensorName:
      found.words = BeginningWith(typed, scope.TensorNames(word.variable));
      found.after = '"';
      return found;
    case TypedWord::Place::kFile:
      return CompleteFile(typed, word.begin);
    case TypedWord::Place::kNothing:
      return found;
  }
  return found;
}

}  // namespace tl

#include "format/mil_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "base/half.h"
#include "format/mil_lexer.h"
#include "format/mil_literal.h"
#include "format/mil_type.h"
#include "format/model.h"

namespace tl {
namespace {

using namespace coreml::spec;

// Types within types, lists within lists, blocks within blocks.
constexpr int kMaxDepth = 64;

struct Opset {
  std::string_view text, name;
};
constexpr auto kOpsets = std::to_array<Opset>({{"ios15", "CoreML5"},
                                               {"ios16", "CoreML6"},
                                               {"ios17", "CoreML7"},
                                               {"ios18", "CoreML8"},
                                               {"ios26", "CoreML9"}});

std::string OpsetOf(std::string_view text) {
  const auto opset = std::ranges::find(kOpsets, text, &Opset::text);
  return std::string(opset == kOpsets.end() ? text : opset->name);
}

class Parser {
 public:
  Parser(const std::string& path, std::string_view text,
         CoreMlMessages& messages)
      : lexer_(path, text), messages_(messages) {
    Advance();
  }

  void Parse() {
    Program& program = *messages_.model().mutable_ml_program();
    ExpectName("program");
    Expect("(");
    program.set_version(Version());
    Expect(")");
    Attributes(*program.mutable_attributes());
    Expect("{");
    while (!Accept("}")) ReadFunction(program);
    if (token_.kind != MilTokenKind::kEnd) FailExpected("the end");
  }

 private:
  // Counts how deep the parser is, for as long as it lives.
  class Deeper {
   public:
    explicit Deeper(Parser& parser) : parser_(parser) {
      if (++parser_.depth_ > kMaxDepth) {
        parser_.FailHere(fmt::format("nested more than {} deep", kMaxDepth));
      }
    }
    ~Deeper() { --parser_.depth_; }

   private:
    Parser& parser_;
  };

  void Advance() {
    messages_.CheckNotTooMany();
    token_ = std::exchange(next_, lexer_.Next());
  }

  bool Is(std::string_view mark) const {
    return token_.kind == MilTokenKind::kMark && token_.text == mark;
  }

  bool Accept(std::string_view mark) {
    if (!Is(mark)) return false;
    Advance();
    return true;
  }

  void Expect(std::string_view mark) {
    if (!Accept(mark)) FailExpected(fmt::format("'{}'", mark));
  }

  std::string_view Name() {
    if (token_.kind != MilTokenKind::kName) FailExpected("a name");
    const std::string_view name = token_.text;
    Advance();
    return name;
  }

  void ExpectName(std::string_view name) {
    if (token_.kind != MilTokenKind::kName || token_.text != name) {
      FailExpected(fmt::format("'{}'", name));
    }
    Advance();
  }

  // 1.0, or 1.3: the number before the dot.
  int64_t Version() {
    const auto version = MilNumber(token_.text);
    const auto whole = version ? CheckedTruncate(*version) : std::nullopt;
    if (token_.kind != MilTokenKind::kNumber || !whole) {
      FailExpected("a version");
    }
    Advance();
    return *whole;
  }

  uint64_t WholeNumber() {
    uint64_t number = 0;
    const char* end = token_.text.data() + token_.text.size();
    const auto [stop, error] = std::from_chars(token_.text.data(), end, number);
    if (token_.kind != MilTokenKind::kNumber || error != std::errc() ||
        stop != end) {
      FailExpected("a whole number");
    }
    Advance();
    return number;
  }

  // Calls read() for each of the items between two marks, with commas between.
  template <class F>
  void ReadList(std::string_view open, std::string_view close, F&& read) {
    Expect(open);
    if (Accept(close)) return;
    do {
      read();
    } while (Accept(","));
    Expect(close);
  }

  // ---- types

  void ReadType(ValueType& type) {
    const Deeper deeper(*this);
    const std::string_view name = Name();
    if (name == "tensor") {
      ReadTensorType(*type.mutable_tensor_type());
    } else if (name == "list") {
      Expect("<");
      ReadType(*type.mutable_list_type()->mutable_type());
      Expect(",");
      ReadDimension(*type.mutable_list_type()->mutable_length());
      Expect(">");
    } else if (name == "tuple") {
      auto& types = *type.mutable_tuple_type()->mutable_types();
      ReadList("<", ">", [&] { ReadType(*types.Add()); });
    } else if (name == "dict") {
      Expect("<");
      ReadType(*type.mutable_dictionary_type()->mutable_key_type());
      Expect(",");
      ReadType(*type.mutable_dictionary_type()->mutable_value_type());
      Expect(">");
    } else if (name == "state") {
      Expect("<");
      ReadType(*type.mutable_state_type()->mutable_wrapped_type());
      Expect(">");
    } else {
      type.mutable_tensor_type()->set_data_type(ElementType(name));
    }
  }

  DataType ElementType(std::string_view name) {
    const auto type = FindMilType(name);
    if (!type) FailHere(fmt::format("{} is no type", QuoteName(name)));
    return *type;
  }

  void ReadTensorType(TensorType& type) {
    Expect("<");
    type.set_data_type(ElementType(Name()));
    Expect(",");
    ReadList("[", "]", [&] { ReadDimension(*type.add_dimensions()); });
    type.set_rank(type.dimensions_size());
    Expect(">");
  }

  void ReadDimension(Dimension& dimension) {
    if (Accept("?") || Accept("...")) {
      dimension.mutable_unknown()->set_variadic(Accept("?") || Accept("..."));
    } else if (token_.kind == MilTokenKind::kName) {
      Advance();  // a size that only has a name
      dimension.mutable_unknown();
    } else {
      dimension.mutable_constant()->set_size(WholeNumber());
    }
  }

  // ---- values

  void ReadValue(Value& value) {
    ReadType(*value.mutable_type());
    Expect("(");
    if (token_.kind == MilTokenKind::kName && token_.text == "BLOBFILE") {
      ReadBlob(*value.mutable_blob_file_value());
    } else {
      ReadLiteral(value.type(), *value.mutable_immediate_value());
    }
    Expect(")");
  }

  void ReadBlob(Value::BlobFile& blob) {
    Advance();
    ReadList("(", ")", [&] {
      const std::string_view name = Name();
      Expect("=");
      Value value;
      ReadValue(value);
      const TensorValue& tensor = value.immediate_value().tensor();
      if (name == "path" && tensor.strings().values_size() == 1) {
        blob.set_file_name(tensor.strings().values(0));
      } else if (name == "offset" && tensor.long_ints().values_size() == 1) {
        blob.set_offset(static_cast<uint64_t>(tensor.long_ints().values(0)));
      } else {
        FailExpected("a path and an offset");
      }
    });
  }

  void ReadTyped(const ValueType& type, Value& value) {
    *value.mutable_type() = type;
    ReadLiteral(type, *value.mutable_immediate_value());
  }

  void ReadLiteral(const ValueType& type, Value::Immediate& literal) {
    const Deeper deeper(*this);
    switch (type.type_case()) {
      case ValueType::kTensorType: {
        MilTensorLiteral numbers(type.tensor_type().data_type());
        ReadNumbers(numbers);
        *literal.mutable_tensor() = numbers.Finish();
        return;
      }
      case ValueType::kListType: {
        auto& values = *literal.mutable_list()->mutable_values();
        const auto read = [&] {
          ReadTyped(type.list_type().type(), *values.Add());
        };
        if (Is("(")) return ReadList("(", ")", read);
        return ReadList("[", "]", read);
      }
      case ValueType::kTupleType:
        return ReadTuple(type.tuple_type(), *literal.mutable_tuple());
      case ValueType::kDictionaryType:
        return ReadList("{", "}", [&] {
          ReadPair(type.dictionary_type(),
                   *literal.mutable_dictionary()->add_values());
        });
      case ValueType::kStateType:
      case ValueType::TYPE_NOT_SET:
        FailHere("a value of this type cannot be written");
    }
  }

  void ReadTuple(const TupleType& type, TupleValue& tuple) {
    int count = 0;
    ReadList("(", ")", [&] {
      if (count == type.types_size()) FailExpected("')'");
      ReadTyped(type.types(count++), *tuple.add_values());
    });
  }

  void ReadPair(const DictionaryType& type, DictionaryValue::Pair& pair) {
    Expect("{");
    ReadTyped(type.key_type(), *pair.mutable_key());
    Expect(",");
    ReadTyped(type.value_type(), *pair.mutable_value());
    Expect("}");
  }

  void ReadNumbers(MilTensorLiteral& numbers) {
    if (Is("[")) {
      const Deeper deeper(*this);
      return ReadList("[", "]", [&] { ReadNumbers(numbers); });
    }
    bool taken = false;
    switch (token_.kind) {
      case MilTokenKind::kText:
        taken = numbers.AddText(Unescaped(token_.text));
        break;
      case MilTokenKind::kName:  // true, false, inf, nan
      case MilTokenKind::kNumber:
        taken = numbers.AddNumber(token_.text);
        break;
      case MilTokenKind::kMark:
      case MilTokenKind::kEnd:
        break;
    }
    if (!taken) {
      FailExpected(
          fmt::format("a value of the type {}", Info(numbers.type()).name));
    }
    Advance();
  }

  template <class Map>
  void Attributes(Map& attributes) {
    if (!Is("[")) return;
    ReadList("[", "]", [&] {
      const std::string name(Name());
      Expect("=");
      ReadValue(attributes[name]);
    });
  }

  // ---- functions, blocks, operations

  void ReadFunction(Program& program) {
    ExpectName("func");
    const std::string name(Name());
    Function& function = (*program.mutable_functions())[name];
    if (!function.opset().empty()) {
      FailHere(fmt::format("function {} is there twice", QuoteName(name)));
    }
    Expect("<");
    function.set_opset(OpsetOf(Name()));
    Expect(">");
    ReadList("(", ")", [&] { ReadNamed(*function.add_inputs()); });
    Attributes(*function.mutable_attributes());
    ReadBody((*function.mutable_block_specializations())[function.opset()]);
    Expect(";");
  }

  void ReadNamed(NamedValueType& named) {
    ReadType(*named.mutable_type());
    named.set_name(std::string(Name()));
  }

  // { operations } -> (names)
  void ReadBody(Block& block) {
    const Deeper deeper(*this);
    Expect("{");
    while (!Accept("}")) ReadOperation(*block.add_operations());
    Expect("->");
    ReadList("(", ")", [&] { block.add_outputs(std::string(Name())); });
  }

  void ReadOperation(Operation& operation) {
    do {
      ReadNamed(*operation.add_outputs());
    } while (Accept(","));
    Expect("=");
    operation.set_type(std::string(Name()));
    ReadList("(", ")", [&] {
      const std::string name(Name());
      Expect("=");
      ReadArgument((*operation.mutable_inputs())[name]);
    });
    Attributes(*operation.mutable_attributes());
    while (!Accept(";")) ReadInnerBlock(*operation.add_blocks());
  }

  // A block of cond or while_loop may have a name and inputs in front.
  void ReadInnerBlock(Block& block) {
    Accept(",");
    if (token_.kind == MilTokenKind::kName) Advance();
    if (Is("(")) {
      ReadList("(", ")", [&] { ReadNamed(*block.add_inputs()); });
    }
    ReadBody(block);
  }

  void ReadArgument(Argument& argument) {
    if (!Is("(")) return ReadBinding(*argument.add_arguments());
    ReadList("(", ")", [&] { ReadBinding(*argument.add_arguments()); });
  }

  // A name, or a value, whose type goes on with one of these marks.
  void ReadBinding(Argument::Binding& binding) {
    const bool value = next_.kind == MilTokenKind::kMark &&
                       (next_.text == "<" || next_.text == "(");
    if (value) {
      ReadValue(*binding.mutable_value());
    } else {
      binding.set_name(std::string(Name()));
    }
  }

  [[noreturn]] void FailExpected(const std::string& what) {
    FailHere(fmt::format("{}; {} was expected",
                         token_.kind == MilTokenKind::kEnd
                             ? "the text ends"
                             : QuoteName(token_.text),
                         what));
  }

  [[noreturn]] void FailHere(const std::string& text) {
    Fail(ErrorKind::kInput, "{}{}", lexer_.Where(token_), text);
  }

  MilLexer lexer_;
  CoreMlMessages& messages_;
  // Two tokens, so that a value can be told from a name.
  MilToken next_ = lexer_.Next();
  MilToken token_;
  int depth_ = 0;
};

}  // namespace

void ReadMilText(const std::string& path, std::string_view text,
                 CoreMlMessages& messages) {
  Parser(path, text, messages).Parse();
}

}  // namespace tl

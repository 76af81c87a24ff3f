// Any bytes as a grammar, or as a JSON Schema where they begin with a brace,
// and after a NUL as a text held against it. Both may be refused, by a
// tl::Error and nothing else; the same text is taken again, or not again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "promises.h"
#include "text/grammar_automaton.h"
#include "text/json_schema.h"

namespace tl {
namespace {

// Beyond these only the time grows.
constexpr size_t kGrammarBytes = 2000;
constexpr size_t kTextBytes = 200;

bool Takes(GrammarAutomaton& automaton, std::string_view text) {
  GrammarAutomaton::Places places = automaton.Start();
  for (char byte : text) {
    automaton.Trim();
    const GrammarAutomaton::Set set =
        automaton.Step(automaton.SetOf(places), static_cast<uint8_t>(byte));
    if (set == GrammarAutomaton::kDead) return false;
    places = automaton.PlacesOf(set);
  }
  return automaton.MayEnd(automaton.SetOf(places));
}

void Try(std::string_view input) {
  const size_t nul = std::min(input.find('\0'), input.size());
  const std::string_view text =
      input.substr(std::min(nul + 1, input.size())).substr(0, kTextBytes);
  std::string grammar(input.substr(0, std::min(nul, kGrammarBytes)));
  if (grammar.starts_with('{')) grammar = JsonSchemaGrammar(grammar);
  GrammarAutomaton automaton(Grammar::Parse(grammar));
  const bool takes = Takes(automaton, text);
  Promise(Takes(automaton, text) == takes, "a text is taken again");
}

}  // namespace
}  // namespace tl

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tl::Budget budget(size);
  try {
    tl::Try({reinterpret_cast<const char*>(data), size});
  } catch (const tl::Error&) {
  }
  return 0;
}

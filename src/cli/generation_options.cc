#include "cli/generation_options.h"

#include <fmt/format.h>

#include <cmath>

namespace tl {
namespace {

CLI::Validator NumberFrom(double low, double high, const std::string& what) {
  return CLI::Validator(
      [low, high, what](std::string& text) -> std::string {
        double number = 0;
        if (CLI::detail::lexical_cast(text, number) && std::isfinite(number) &&
            number >= low && number <= high) {
          return "";
        }
        return fmt::format("it is {}; expected {}", text, what);
      },
      "");
}

}  // namespace

void AddGenerationOptions(CLI::App& command, GenerationOptions& options,
                          const std::string& tokens) {
  constexpr double kMost = 1e30;
  const auto whole = [](int64_t low) {
    return CLI::Range(low, int64_t{1} << 30).description("");
  };
  command
      .add_option("-n,--tokens", options.tokens,
                  fmt::format("Tokens to write at most (default: {})", tokens))
      ->type_name("N")
      ->check(whole(1));
  command
      .add_option("--context", options.context,
                  "Tokens to remember at most (default: 4096)")
      ->type_name("N")
      ->check(whole(1));
  command
      .add_option("--temperature", options.temperature,
                  "0 takes the likeliest token (default: 0.8)")
      ->type_name("T")
      ->check(NumberFrom(0, kMost, "0 (the likeliest token) or more"));
  command
      .add_option("--top-k", options.top_k,
                  "Of the K likeliest; 0: of all (default: 40)")
      ->type_name("K")
      ->check(whole(0));
  const auto probability = NumberFrom(0, 1, "a number from 0 to 1");
  command
      .add_option("--top-p", options.top_p,
                  "Of those that make up this probability (default: 0.95)")
      ->type_name("P")
      ->check(probability);
  command
      .add_option("--min-p", options.min_p,
                  "Not less likely than P times the likeliest (default: 0.05)")
      ->type_name("P")
      ->check(probability);
  command
      .add_option("--repetition-penalty", options.repetition_penalty,
                  "Above 1 avoids what was said (default: 1)")
      ->type_name("X")
      ->check(NumberFrom(1e-30, kMost, "a number above 0"));
  CLI::Option* grammar =
      command
          .add_option("--grammar", options.grammar,
                      "Write only what a grammar in GBNF allows")
          ->type_name("FILE");
  CLI::Option* schema =
      command
          .add_option("--json-schema", options.json_schema,
                      "Write only JSON that a JSON Schema describes")
          ->type_name("FILE")
          ->excludes(grammar);
  command.add_flag("--json", options.json, "Write only a JSON object")
      ->excludes(grammar)
      ->excludes(schema);
  AddModelOptions(command, options.model);
  AddLoraOptions(command, options.model);
}

LibraryArguments ArgumentsOf(const GenerationOptions& options) {
  const auto text = [](auto value) { return fmt::format("{}", value); };
  LibraryArguments arguments = ArgumentsOf(options.model);
  arguments.insert(
      arguments.end(),
      {{"tokens", options.tokens ? text(*options.tokens) : ""},
       {"context", text(options.context)},
       {"temperature", text(options.temperature)},
       {"top_k", text(options.top_k)},
       {"top_p", text(options.top_p)},
       {"min_p", text(options.min_p)},
       {"repetition_penalty", text(options.repetition_penalty)},
       {"grammar", options.grammar},
       {"json_schema", options.json_schema},
       {"json", text(options.json)}});
  return arguments;
}

}  // namespace tl

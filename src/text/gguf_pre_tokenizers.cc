#include "text/gguf_pre_tokenizers.h"

#include <memory>

namespace tl {
namespace {

// Parts that several families of models share. A quotation mark and what may
// follow it, in either case; and letters by the cases of GPT-4o.
#define TL_CONTRACTIONS R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define TL_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define TL_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define TL_NOT_WORD R"([^\r\n\p{L}\p{N}]?)"
#define TL_SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define TL_SYMBOLS R"( ?[^\s\p{L}\p{N}]+[\r\n]*)"
#define TL_SYMBOLS_SLASH R"( ?[^\s\p{L}\p{N}]+[\r\n/]*)"
#define TL_CASED(end)                                                \
  TL_NOT_WORD TL_UPPER "*" TL_LOWER "+" end "|" TL_NOT_WORD TL_UPPER \
                       "+" TL_LOWER "*" end "|"
#define TL_DEEPSEEK                                    \
  R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)" \
  R"(|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)" TL_SPACES

// As GPT-2's, without an alternative of its own for the last blanks: what no
// pattern matches is a piece, too.
#define TL_GPT2 \
  R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"

constexpr const char* kDefault[] = {R"([\p{P}\$\+<=>\^~\|]+)", TL_GPT2,
                                    R"(\p{N}+)", "[0-9][0-9][0-9]"};
constexpr const char* kGpt2[] = {TL_GPT2};
constexpr const char* kLlama3[] = {
    TL_CONTRACTIONS "|" TL_NOT_WORD R"(\p{L}+|\p{N}{1,3}|)" TL_SYMBOLS
                    "|" TL_SPACES};
constexpr const char* kJais2[] = {
    TL_CONTRACTIONS
    "|" TL_NOT_WORD R"(\p{L}+|\p{N}{1,3}|)" TL_SYMBOLS
    R"(|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S))"
    R"(|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S))"
    R"(|\s{1})"};
constexpr const char* kQwen2[] = {TL_CONTRACTIONS "|" TL_NOT_WORD
                                                  R"(\p{L}+|\p{N}|)" TL_SYMBOLS
                                                  "|" TL_SPACES};
constexpr const char* kQwen35[] = {
    TL_CONTRACTIONS
    "|" TL_NOT_WORD
    R"([\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" TL_SPACES};
constexpr const char* kDeepseekLlm[] = {
    R"([\r\n])",
    R"(\s?[A-Za-z\x{b5}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{1ba}\x{1bc}-)"
    R"(\x{1bf}\x{1c4}-\x{293}\x{295}-\x{2af}\x{370}-\x{373}\x{376}\x{377})"
    R"(\x{37b}-\x{37d}\x{37f}\x{386}\x{388}-\x{38a}\x{38c}\x{38e}-\x{3a1})"
    R"(\x{3a3}-\x{3f5}\x{3f7}-\x{481}\x{48a}-\x{52f}\x{531}-\x{556})"
    R"(\x{10a0}-\x{10c5}\x{13a0}-\x{13f5}\x{13f8}-\x{13fd}\x{1c90}-)"
    R"(\x{1cba}\x{1cbd}-\x{1cbf}\x{1d00}-\x{1d2b}\x{1d6b}-\x{1d77})"
    R"(\x{1d79}-\x{1d9a}\x{1e00}-\x{1f15}\x{1f18}-\x{1f1d}\x{1f20}-)"
    R"(\x{1f45}\x{1f48}-\x{1f4d}\x{1f50}-\x{1f57}\x{1f59}\x{1f5b}\x{1f5d})"
    R"(\x{1f5f}-\x{1f7d}\x{1f80}-\x{1fb4}\x{1fb6}-\x{1fbc}\x{1fbe})"
    R"(\x{1fc2}-\x{1fc4}\x{1fc6}-\x{1fcc}\x{1fd0}-\x{1fd3}\x{1fd6}-)"
    R"(\x{1fdb}\x{1fe0}-\x{1fec}\x{1ff2}-\x{1ff4}\x{1ff6}-\x{1ffc})"
    R"(\x{2102}\x{2107}\x{210a}-\x{2113}\x{2115}\x{2119}-\x{211d}\x{2124})"
    R"(\x{2126}\x{2128}\x{212a}-\x{212d}\x{212f}-\x{2134}\x{2139}\x{213c})"
    R"(-\x{213f}\x{2145}-\x{2149}\x{214e}\x{2183}\x{2184}\x{2c00}-)"
    R"(\x{2c7b}\x{2c7e}-\x{2ce4}\x{2ceb}-\x{2cee}\x{2cf2}\x{2cf3}\x{a640})"
    R"(-\x{a66d}\x{a680}-\x{a69b}\x{a722}-\x{a76f}\x{a771}-\x{a787})"
    R"(\x{a78b}-\x{a78e}\x{ab70}-\x{abbf}\x{fb00}-\x{fb06}\x{fb13}-)"
    R"(\x{fb17}\x{ff21}-\x{ff3a}\x{ff41}-\x{ff5a}\x{10400}-\x{1044f})"
    R"(\x{104b0}-\x{104d3}\x{104d8}-\x{104fb}\x{10c80}-\x{10cb2}\x{10cc0})"
    R"(-\x{10cf2}\x{118a0}-\x{118df}\x{1e900}-\x{1e943}]+)",
    R"(\s?[!-/:-~\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff5e}\x{2018}-\x{201f})"
    R"(\x{3000}-\x{3002}]+)",
    R"(\s+$)",
    R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)",
    R"(\p{N}+)"};
constexpr const char* kDeepseekCoder[] = {
    R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
    R"([\x{4e00}-\x{9fa5}\x{800}-\x{4e00}\x{ac00}-\x{d7ff}]+)", R"(\p{N})"};
constexpr const char* kDeepseek3[] = {
    R"(\p{N}{1,3})",
    R"([\x{4e00}-\x{9fa5}\x{3040}-\x{309f}\x{30a0}-\x{30ff}]+)", TL_DEEPSEEK};
constexpr const char* kFalcon[] = {R"([\p{P}\$\+<=>\^~\|`]+)", TL_GPT2,
                                   "[0-9][0-9][0-9]"};
constexpr const char* kStarcoder[] = {R"(\p{N})", TL_GPT2};
// Punctuation of several scripts.
#define TL_BLOOM \
  R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{ff0c}\x{3001}\x{964}\x{6d4}\x{60c})]+)"
constexpr const char* kBloom[] = {TL_BLOOM};
constexpr const char* kViking[] = {TL_BLOOM, R"(\p{N})"};
constexpr const char* kTekken[] = {TL_CASED("") R"(\p{N}|)" TL_SYMBOLS_SLASH
                                                "|" TL_SPACES};
constexpr const char* kGpt4o[] = {TL_CASED(
    TL_CONTRACTIONS "?") R"(\p{N}{1,3}|)" TL_SYMBOLS_SLASH "|" TL_SPACES};
constexpr const char* kTinyAya[] = {
    R"(\d{1,3}(?=(?:\d{3})*\b))",
    TL_CASED(TL_CONTRACTIONS "?") R"(\p{N}{1,3}|)" TL_SYMBOLS_SLASH
                                  "|" TL_SPACES};
constexpr const char* kChameleon[] = {
    "<sentinel:[0-9]+>",       "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
    R"(([\t\n]|    |  ))",     R"(\p{N})",
    R"([\p{P}!-/:-@\[-`{-~])", TL_GPT2};
constexpr const char* kSuperBpe[] = {R"(\p{N}+)", R"((?=(\d{3})+(?!\d)))"};
constexpr const char* kBailing[] = {R"('(?i:[sdmt]|ll|ve|re)|)" TL_NOT_WORD
                                    R"(\p{L}+|\p{N}|)" TL_SYMBOLS
                                    R"(|\s*[\r\n]|\s+(?!\S)|\s+)"};
constexpr const char* kSeedCoder[] = {
    TL_CONTRACTIONS "|" TL_NOT_WORD
                    R"(\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|)" TL_SPACES};
constexpr const char* kUfakzeka[] = {TL_NOT_WORD R"(\p{L}+|\p{N}|)" TL_SYMBOLS
                                                 "|" TL_SPACES};

constexpr GgufPreTokenizer kRows[] = {
    {"default", kDefault},
    {"llama3", kLlama3, true, true},
    {"llama-v3", kLlama3, true, true},
    {"llama-bpe", kLlama3, true, true},
    {"falcon3", kLlama3, true, true},
    {"falcon-h1", kLlama3, true, true},
    {"pixtral", kLlama3, true, true},
    {"midm-2.0", kLlama3, true, true},
    {"lfm2", kLlama3, true, true},
    {"jina-v5-nano", kLlama3, true, true},
    {"dbrx", kLlama3},
    {"smaug-bpe", kLlama3},
    {"glm4", kLlama3},
    {"chatglm-bpe", kLlama3},
    {"jais-2", kJais2},
    {"deepseek-llm", kDeepseekLlm},
    {"deepseek-coder", kDeepseekCoder},
    {"deepseek-v3", kDeepseek3},
    {"hunyuan-dense", kDeepseek3},
    {"joyai-llm", kDeepseek3},
    {"falcon", kFalcon},
    {"starcoder", kStarcoder},
    {"refact", kStarcoder},
    {"command-r", kStarcoder},
    {"smollm", kStarcoder},
    {"codeshell", kStarcoder},
    {"exaone", kStarcoder},
    {"minerva-7b", kStarcoder},
    {"mellum2", kStarcoder},
    {"gpt-2", kGpt2},
    {"phi-2", kGpt2},
    {"mpt", kGpt2},
    {"olmo", kGpt2},
    {"jais", kGpt2},
    {"trillion", kGpt2},
    {"granite-docling", kGpt2},
    {"exaone4", kGpt2},
    {"gigachat", kGpt2},
    {"a.x-4.0", kGpt2},
    {"mellum", kGpt2},
    {"modern-bert", kGpt2},
    {"jina-es", kGpt2},
    {"jina-de", kGpt2},
    {"jina-v1-en", kGpt2},
    {"jina-v2-es", kGpt2},
    {"jina-v2-de", kGpt2},
    {"jina-v2-code", kGpt2},
    {"roberta-bpe", kGpt2},
    {"stablelm2", kQwen2},
    {"qwen2", kQwen2},
    {"deepseek-r1-qwen", kQwen2},
    {"kormo", kQwen2},
    {"f2llmv2", kQwen2},
    {"megrez", kQwen2},
    {"hunyuan", kQwen2},
    {"solar-open", kQwen2},
    {"grok-2", kQwen2},
    {"qwen35", kQwen35},
    {"poro-chat", kBloom},
    {"bloom", kBloom},
    {"gpt3-finnish", kBloom},
    {"viking", kViking},
    {"tekken", kTekken, true, true},
    {"gpt-4o", kGpt4o},
    {"llama4", kGpt4o},
    {"kanana2", kGpt4o},
    {"talkie", kGpt4o},
    {"minimax-m2", kGpt4o},
    {"granite-embed-multi-97m", kGpt4o, true},
    {"tiny_aya", kTinyAya},
    {"cohere2moe", kTinyAya},
    {"chameleon", kChameleon, false, true},
    {"superbpe", kSuperBpe},
    {"bailingmoe", kBailing},
    {"bailingmoe2", kBailing},
    {"llada-moe", kBailing},
    {"seed-coder", kSeedCoder},
    {"ufakzeka", kUfakzeka},
};

}  // namespace

const GgufPreTokenizer* FindGgufPreTokenizer(std::string_view name) {
  for (const GgufPreTokenizer& row : kRows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

PreTokenizers MakePreTokenizers(const GgufPreTokenizer& row) {
  PreTokenizers steps;
  for (const char* pattern : row.patterns) {
    steps.push_back(std::make_unique<RegexSplitter>(Regex(pattern),
                                                    SplitBehavior::kIsolated));
  }
  steps.push_back(std::make_unique<ByteLevelPreTokenizer>());
  return steps;
}

}  // namespace tl

#include "lang/parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "lang/parse_rules.h"

namespace tl {
namespace {

bool OpensBracket(TokenKind kind) {
  return kind == TokenKind::kLeftParen || kind == TokenKind::kLeftBracket ||
         kind == TokenKind::kLeftBrace;
}

bool ClosesBracket(TokenKind kind) {
  return kind == TokenKind::kRightParen || kind == TokenKind::kRightBracket ||
         kind == TokenKind::kRightBrace;
}

TokenKind ClosingOf(TokenKind open) {
  if (open == TokenKind::kLeftParen) return TokenKind::kRightParen;
  if (open == TokenKind::kLeftBracket) return TokenKind::kRightBracket;
  return TokenKind::kRightBrace;
}

// Words with which no line inside brackets begins.
bool BeginsStatement(TokenKind kind) {
  return kind == TokenKind::kLet || kind == TokenKind::kFunction ||
         kind == TokenKind::kFor || kind == TokenKind::kWhile ||
         kind == TokenKind::kLoop || kind == TokenKind::kReturn ||
         kind == TokenKind::kBreak || kind == TokenKind::kContinue;
}

// A token longer than this is cut in messages.
constexpr size_t kMaxShownToken = 40;

}  // namespace

SyntaxTree Parse(const Source& source, Diagnostics& diagnostics) {
  LexedText lexed = Lex(source, diagnostics);
  return Parser(source, lexed, diagnostics).Run();
}

bool IsUnfinished(std::string_view text) {
  Sources sources;
  Diagnostics diagnostics;
  const Source& source = sources.Add("", std::string(text));
  LexedText lexed = Lex(source, diagnostics);
  if (diagnostics.errors() > 0) {
    return source.Text(diagnostics.Sorted()[0].span) == "/*";
  }
  Parser parser(source, lexed, diagnostics);
  parser.Run();
  return parser.ended_early() && diagnostics.errors() == 1;
}

SyntaxTree Parser::Run() {
  SyntaxTree tree;
  tree.source = source_.id();
  try {
    while (!At(TokenKind::kEnd)) {
      for (StmtPtr& statement : Statements()) {
        tree.statements.push_back(std::move(statement));
      }
      if (At(TokenKind::kRightBrace)) {
        diagnostics_.Error(Next().span, "unexpected '}'; it closes nothing");
        Take();
      }
    }
  } catch (const ParsingEnds&) {
    tree.ends_early = true;
  }
  tree.faulty_names = std::move(faulty_names_);
  return tree;
}

Parser::Nested::Nested(Parser& parser)
    : parser_(parser), outer_height_(parser.height_) {
  if (++parser.depth_ > kMaxTreeHeight) {
    --parser.depth_;  // no destructor will run
    parser.TooDeep();
  }
  parser.height_ = 0;
}

Parser::Nested::~Nested() {
  --parser_.depth_;
  parser_.height_ = std::max(parser_.height_, outer_height_);
}

const Token& Parser::Ahead(size_t count) const {
  return lexed_.tokens[std::min(at_ + count, lexed_.tokens.size() - 1)];
}

std::string_view Parser::TextOf(const Token& token) const {
  return source_.Text(token.span);
}

bool Parser::AtWord(std::string_view word) const {
  return At(TokenKind::kName) && TextOf(Next()) == word;
}

bool Parser::AtStatementEnd() const {
  return AtLineBreak() || At(TokenKind::kSemicolon) ||
         At(TokenKind::kRightBrace) || At(TokenKind::kEnd);
}

Token Parser::Take() {
  Token token = Next();
  if (token.kind != TokenKind::kEnd) ++at_;
  return token;
}

bool Parser::TakeIf(TokenKind kind) {
  if (!At(kind)) return false;
  Take();
  return true;
}

Token Parser::TakeExpected(TokenKind kind, std::string_view expected) {
  if (!At(kind)) Unexpected(expected);
  return Take();
}

Token Parser::TakeName(std::string_view expected) {
  if (At(TokenKind::kName)) return Take();
  std::string_view spelling = InfoOf(Kind()).spelling;
  bool word = !spelling.empty() && WordKind(spelling) == Kind();
  Unexpected(
      expected,
      word ? fmt::format("'{}' is a word of the language", spelling) : "");
}

void Parser::OpenBracket(TokenKind kind, std::string_view expected) {
  Token token = TakeExpected(kind, expected);
  open_.push_back({token, newlines_count_});
  newlines_count_ = kind == TokenKind::kLeftBrace;
}

void Parser::CloseBracket(std::string_view expected) {
  Open open = open_.back();
  if (!At(ClosingOf(open.token.kind))) Unexpected(expected);
  newlines_count_ = open.newlines_counted;
  open_.pop_back();
  Take();
}

std::string Parser::Describe(const Token& token) const {
  if (token.kind == TokenKind::kEnd) return "end of the text";
  std::string_view text = TextOf(token);
  if (text.size() <= kMaxShownToken && token.kind == TokenKind::kString) {
    return std::string(text);
  }
  if (text.size() <= kMaxShownToken) return fmt::format("'{}'", text);
  return token.kind == TokenKind::kName     ? "name"
         : token.kind == TokenKind::kString ? "string"
                                            : "number";
}

std::optional<Span> Parser::LineCommentBefore() const {
  const std::vector<Comment>& comments = lexed_.comments;
  auto found = std::lower_bound(comments.begin(), comments.end(), at_,
                                [](const Comment& comment, size_t at) {
                                  return comment.next_token < at;
                                });
  if (found == comments.end() || found->next_token != at_ || at_ == 0) {
    return std::nullopt;
  }
  std::string_view between = source_.text().substr(
      Previous().span.end, found->span.begin - Previous().span.end);
  if (between.find('\n') != std::string_view::npos) return std::nullopt;
  if (!source_.Text(found->span).starts_with("//")) return std::nullopt;
  return found->span;
}

void Parser::Unexpected(std::string_view expected, std::string hint) {
  if (hint.empty() && LineCommentBefore()) {
    hint = "'//' begins a comment; an int quotient is written 'a / b'";
  }
  if (At(TokenKind::kInvalid)) throw SyntaxFault();  // the lexer said so
  Span span = Next().span;
  std::string found = Describe(Next());
  if ((AtLineBreak() || At(TokenKind::kEnd)) && at_ > 0) {
    span = Previous().span;
    span.begin = span.end;
    if (!At(TokenKind::kEnd)) found = "end of the line";
  }
  diagnostics_.Error(span,
                     fmt::format("unexpected {}; expected {}", found, expected),
                     std::move(hint));
  // Where a bracket stands open, it is more often the fault than what follows.
  if (!open_.empty() &&
      expected.find(InfoOf(ClosingOf(open_.back().token.kind)).name) !=
          std::string_view::npos) {
    diagnostics_.Note(
        open_.back().token.span,
        fmt::format("{} opened here", InfoOf(open_.back().token.kind).name));
  }
  if (At(TokenKind::kEnd)) {
    ended_early_ = true;
    throw ParsingEnds();
  }
  throw SyntaxFault();
}

void Parser::Fault(Span span, std::string message, std::string hint) {
  diagnostics_.Error(span, std::move(message), std::move(hint));
  throw SyntaxFault();
}

void Parser::TooDeep() {
  diagnostics_.Error(
      Next().span,
      fmt::format("nested too deeply; at most {} levels", kMaxTreeHeight));
  throw ParsingEnds();
}

std::optional<size_t> Parser::AfterOpenBrackets(size_t open_before) const {
  size_t depth = open_.size() - open_before;
  bool braces =
      std::any_of(open_.begin() + static_cast<std::ptrdiff_t>(open_before),
                  open_.end(), [](const Open& open) {
                    return open.token.kind == TokenKind::kLeftBrace;
                  });
  for (size_t i = at_; depth > 0; ++i) {
    const Token& token = lexed_.tokens[i];
    if (token.kind == TokenKind::kEnd) return std::nullopt;
    if (!braces && token.newline_before && BeginsStatement(token.kind)) {
      return std::nullopt;
    }
    if (OpensBracket(token.kind)) ++depth;
    if (ClosesBracket(token.kind) && --depth == 0) return i + 1;
  }
  return at_;
}

void Parser::SkipFaultyStatement(size_t open_before, size_t began_at) {
  if (auto after = AfterOpenBrackets(open_before)) at_ = *after;
  newlines_count_ = open_.size() > open_before
                        ? open_[open_before].newlines_counted
                        : newlines_count_;
  open_.resize(open_before);
  if (at_ == began_at) Take();
  size_t depth = 0;
  while (!At(TokenKind::kEnd)) {
    if (depth == 0 && (Next().newline_before || At(TokenKind::kSemicolon) ||
                       At(TokenKind::kRightBrace))) {
      break;
    }
    if (OpensBracket(Kind())) ++depth;
    if (ClosesBracket(Kind()) && depth > 0) --depth;
    Take();
  }
  for (size_t i = began_at; i < at_; ++i) {
    if (lexed_.tokens[i].kind != TokenKind::kName) continue;
    faulty_names_.emplace(TextOf(lexed_.tokens[i]));
  }
}

}  // namespace tl

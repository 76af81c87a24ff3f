#include "lang/format.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "lang/lexer.h"
#include "lang/parser.h"

namespace tl {
namespace {

constexpr size_t kIndent = 4;
constexpr size_t kBeforeComment = 2;  // blanks, at least

// A token or a comment, in the order of the text.
struct Piece {
  TokenKind kind = TokenKind::kEnd;  // of a token
  bool comment = false;
  std::string_view text;
  size_t newlines = 0;  // before it
  uint32_t column = 0;  // of a comment, in the text as it was
};

enum class BracketUse {
  kParens,  // of a call, a function's head, or around an expression
  kList,    // a list, or a type's dims
  kIndex,
  kBlock,
  kMap,
};

struct Bracket {
  BracketUse use;
  size_t indent = 0;  // of the lines inside
  size_t outer = 0;   // of a line that begins with its end
};

bool EndsOperand(TokenKind kind) {
  return kind == TokenKind::kName || kind == TokenKind::kInt ||
         kind == TokenKind::kFloat || kind == TokenKind::kString ||
         kind == TokenKind::kTrue || kind == TokenKind::kFalse ||
         kind == TokenKind::kNone || kind == TokenKind::kRightParen ||
         kind == TokenKind::kRightBracket || kind == TokenKind::kRightBrace;
}

bool Opens(TokenKind kind) {
  return kind == TokenKind::kLeftParen || kind == TokenKind::kLeftBracket ||
         kind == TokenKind::kLeftBrace;
}

bool Closes(TokenKind kind) {
  return kind == TokenKind::kRightParen || kind == TokenKind::kRightBracket ||
         kind == TokenKind::kRightBrace;
}

// After these a line goes on, and is set in further than the one before.
bool Continues(TokenKind last) {
  return InfoOf(last).power > 0 || last == TokenKind::kAssign ||
         last == TokenKind::kRebind || last == TokenKind::kPlusAssign ||
         last == TokenKind::kMinusAssign || last == TokenKind::kStarAssign ||
         last == TokenKind::kSlashAssign || last == TokenKind::kArrow ||
         last == TokenKind::kFatArrow || last == TokenKind::kColon ||
         last == TokenKind::kNot;
}

size_t CountNewlines(std::string_view text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::vector<Piece> PiecesOf(const Source& source, const LexedText& lexed) {
  std::vector<Piece> pieces;
  size_t end = 0;
  auto add = [&](Span span, TokenKind kind, bool comment) {
    Piece piece{kind, comment, source.Text(span), 0, 0};
    // One to a line at most: finding the column of more could take long.
    if (piece.text.starts_with("//")) {
      piece.column = source.PositionOf(span.begin).column;
    }
    piece.newlines = CountNewlines(source.text().substr(end, span.begin - end));
    if (comment && piece.text.starts_with("//")) {
      piece.text =
          piece.text.substr(0, piece.text.find_last_not_of(" \t\r") + 1);
    }
    pieces.push_back(piece);
    end = span.end;
  };
  size_t next = 0;
  for (size_t i = 0; i < lexed.tokens.size(); ++i) {
    for (; next < lexed.comments.size() && lexed.comments[next].next_token == i;
         ++next) {
      add(lexed.comments[next].span, TokenKind::kEnd, true);
    }
    if (lexed.tokens[i].kind == TokenKind::kEnd) break;
    add(lexed.tokens[i].span, lexed.tokens[i].kind, false);
  }
  return pieces;
}

class Formatter {
 public:
  explicit Formatter(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}

  std::string Run() {
    for (at_ = 0; at_ < pieces_.size(); ++at_) {
      const Piece& piece = pieces_[at_];
      if (at_ == 0 || piece.newlines > 0) {
        BeginLine(piece);
      } else {
        AddBlanks(piece);
      }
      if (piece.comment) {
        Write(piece.text);
        after_comment_ = true;
      } else {
        AddToken(piece);
      }
    }
    if (!out_.empty()) out_ += '\n';
    return AlignComments();
  }

 private:
  void BeginLine(const Piece& piece);
  void AddBlanks(const Piece& piece);
  void AddToken(const Piece& piece);
  bool GoesOnAbove(const Piece& piece) const;
  void AlignLater(const Piece& comment);
  size_t IndentOf(const Piece& piece) const;
  void OpenBracket(TokenKind kind);
  std::string AlignComments() const;
  bool IsTypedTensorMark(const Piece& piece) const;
  bool IsPrefix(const Piece& piece) const;
  bool BlankBetween(const Piece& piece) const;
  bool BlankBeforeOpening(const Piece& piece) const;
  bool WouldJoin(const Piece& piece) const;
  bool In(BracketUse use) const {
    return !brackets_.empty() && brackets_.back().use == use;
  }
  bool InBraces() const {
    return brackets_.empty() || In(BracketUse::kBlock) || In(BracketUse::kMap);
  }
  void Write(std::string_view text);

  std::vector<Piece> pieces_;
  size_t at_ = 0;
  std::string out_;
  size_t column_ = 0;             // in characters, of the end of out_
  std::vector<size_t> comments_;  // where in out_ a line's comment begins
  const Piece* last_aligned_ = nullptr;  // the comment that they end with
  std::vector<Bracket> brackets_;
  const Piece* last_ = nullptr;  // the last token
  bool last_was_prefix_ = false;
  bool after_comment_ = false;
  size_t line_indent_ = 0;
};

void Formatter::Write(std::string_view text) {
  out_ += text;
  size_t line = text.rfind('\n');
  if (line != std::string_view::npos) {
    column_ = 0;
    text.remove_prefix(line + 1);
  }
  column_ += CountCharacters(text);
}

size_t Formatter::IndentOf(const Piece& piece) const {
  if (brackets_.empty() && !last_) return 0;
  size_t base = brackets_.empty() ? 0 : brackets_.back().indent;
  if (piece.comment) return base;
  if (Closes(piece.kind) && !brackets_.empty()) return brackets_.back().outer;
  if (!InBraces() || !last_) return base;
  bool goes_on = piece.kind == TokenKind::kDot ||
                 piece.kind == TokenKind::kArrow || Continues(last_->kind);
  return goes_on ? base + kIndent : base;
}

void Formatter::BeginLine(const Piece& piece) {
  if (at_ > 0) {
    bool after_opening = last_ && Opens(last_->kind) && !after_comment_;
    bool before_closing = !piece.comment && Closes(piece.kind);
    Write(piece.newlines > 1 && !after_opening && !before_closing ? "\n\n"
                                                                  : "\n");
  }
  if (GoesOnAbove(piece)) {
    AlignLater(piece);
    return;
  }
  line_indent_ = IndentOf(piece);
  Write(std::string(line_indent_, ' '));
}

// Whether a comment on its own line stands right under one behind a line.
bool Formatter::GoesOnAbove(const Piece& piece) const {
  return piece.text.starts_with("//") && piece.newlines == 1 && last_aligned_ &&
         last_aligned_ == &pieces_[at_ - 1] &&
         last_aligned_->column == piece.column;
}

void Formatter::AlignLater(const Piece& comment) {
  comments_.push_back(out_.size());
  last_aligned_ = &comment;
}

void Formatter::AddBlanks(const Piece& piece) {
  if (piece.comment && piece.text.starts_with("//")) {
    AlignLater(piece);
  } else if (piece.comment) {
    Write(" ");
  } else if (after_comment_ || BlankBetween(piece) || WouldJoin(piece)) {
    Write(" ");
  }
}

void Formatter::AddToken(const Piece& piece) {
  bool prefix = IsPrefix(piece);
  if (Closes(piece.kind) && !brackets_.empty()) brackets_.pop_back();
  Write(piece.text);
  if (Opens(piece.kind)) OpenBracket(piece.kind);
  last_ = &piece;
  last_was_prefix_ = prefix;
  after_comment_ = false;
}

void Formatter::OpenBracket(TokenKind kind) {
  Bracket bracket{BracketUse::kParens, 0, 0};
  bool operand = last_ && EndsOperand(last_->kind);
  if (kind == TokenKind::kLeftBracket) {
    bool index = operand && !(pieces_[at_].newlines > 0 && InBraces());
    bracket.use = index ? BracketUse::kIndex : BracketUse::kList;
  }
  if (kind == TokenKind::kLeftBrace) {
    bool block = operand || (last_ && (last_->kind == TokenKind::kElse ||
                                       last_->kind == TokenKind::kLoop ||
                                       last_->kind == TokenKind::kFatArrow));
    bracket.use = block ? BracketUse::kBlock : BracketUse::kMap;
  }
  bool ends_line = at_ + 1 >= pieces_.size() || pieces_[at_ + 1].newlines > 0 ||
                   pieces_[at_ + 1].text.starts_with("//");
  if (kind == TokenKind::kLeftBrace && InBraces()) {
    bracket.outer = brackets_.empty() ? 0 : brackets_.back().indent;
    bracket.indent = bracket.outer + kIndent;
  } else if (kind == TokenKind::kLeftBrace || ends_line) {
    bracket.outer = line_indent_;
    bracket.indent = line_indent_ + kIndent;
  } else {
    bracket.indent = column_;
    bracket.outer = bracket.indent;
  }
  brackets_.push_back(bracket);
}

// The `<` or `>` of `tensor<float16>`.
bool Formatter::IsTypedTensorMark(const Piece& piece) const {
  if (piece.kind == TokenKind::kLess) {
    return last_ && last_->text == "tensor" && at_ + 3 < pieces_.size() &&
           pieces_[at_ + 1].kind == TokenKind::kName &&
           pieces_[at_ + 2].kind == TokenKind::kGreater &&
           pieces_[at_ + 3].kind == TokenKind::kLeftParen;
  }
  return piece.kind == TokenKind::kGreater && at_ >= 3 &&
         pieces_[at_ - 2].kind == TokenKind::kLess &&
         pieces_[at_ - 3].text == "tensor" && at_ + 1 < pieces_.size() &&
         pieces_[at_ + 1].kind == TokenKind::kLeftParen;
}

bool Formatter::IsPrefix(const Piece& piece) const {
  if (piece.kind == TokenKind::kBang) return true;
  if (piece.kind != TokenKind::kMinus) return false;
  bool begins_statement =
      piece.newlines > 0 && InBraces() && !(last_ && Continues(last_->kind));
  return begins_statement || !last_ || !EndsOperand(last_->kind);
}

bool Formatter::BlankBeforeOpening(const Piece& piece) const {
  if (piece.kind == TokenKind::kLeftBrace) return true;
  TokenKind last = last_->kind;
  if (last == TokenKind::kFn || last == TokenKind::kFunction) return false;
  bool typed = last == TokenKind::kGreater && at_ >= 4 &&
               pieces_[at_ - 3].kind == TokenKind::kLess &&
               pieces_[at_ - 4].text == "tensor";
  return !EndsOperand(last) && !typed;
}

// Whether a blank stands between the last token and this one.
bool Formatter::BlankBetween(const Piece& piece) const {
  TokenKind last = last_->kind;
  TokenKind kind = piece.kind;
  if (last_was_prefix_) return false;
  if (last == TokenKind::kLeftBrace || kind == TokenKind::kRightBrace) {
    bool empty =
        last == TokenKind::kLeftBrace && kind == TokenKind::kRightBrace;
    return !empty && In(BracketUse::kBlock);
  }
  if (Opens(last) || Closes(kind) || kind == TokenKind::kComma ||
      kind == TokenKind::kSemicolon) {
    return false;
  }
  for (TokenKind tight : {TokenKind::kDot, TokenKind::kColonColon,
                          TokenKind::kDotDot, TokenKind::kDotDotEqual}) {
    if (last == tight || kind == tight) return false;
  }
  if (kind == TokenKind::kColon) return last == TokenKind::kComma;
  if (last == TokenKind::kColon) return !In(BracketUse::kIndex);
  if (IsTypedTensorMark(piece)) return false;
  bool after_typed = at_ >= 2 && pieces_[at_ - 2].text == "tensor" &&
                     last == TokenKind::kLess && at_ + 2 < pieces_.size() &&
                     pieces_[at_ + 1].kind == TokenKind::kGreater &&
                     pieces_[at_ + 2].kind == TokenKind::kLeftParen;
  if (after_typed) return false;
  if (Opens(kind)) return BlankBeforeOpening(piece);
  return true;
}

// Whether two tokens written together would be read as others: `0..` and `.5`.
bool Formatter::WouldJoin(const Piece& piece) const {
  if (Opens(last_->kind) || Closes(last_->kind) || Opens(piece.kind) ||
      Closes(piece.kind) || piece.kind == TokenKind::kComma) {
    return false;
  }
  Sources sources;
  Diagnostics diagnostics;
  const Source& source =
      sources.Add("", std::string(last_->text).append(piece.text));
  std::vector<Token> tokens = Lex(source, diagnostics).tokens;
  return tokens.size() != 3 || tokens[0].kind != last_->kind ||
         tokens[1].kind != piece.kind ||
         tokens[0].span.end != last_->text.size();
}

// The comments behind neighbouring lines stand under each other.
std::string Formatter::AlignComments() const {
  std::string_view text = out_;
  std::string aligned;
  size_t written = 0;
  for (size_t i = 0; i < comments_.size();) {
    std::vector<size_t> widths;
    size_t widest = 0;
    size_t end = i;
    do {
      size_t at = comments_[end];
      size_t line = text.rfind('\n', at - 1) + 1;  // npos + 1 is the beginning
      widths.push_back(CountCharacters(text.substr(line, at - line)));
      widest = std::max(widest, widths.back());
      ++end;
    } while (end < comments_.size() &&
             CountNewlines(text.substr(comments_[end - 1],
                                       comments_[end] - comments_[end - 1])) ==
                 1);
    for (; i < end; ++i) {
      size_t blanks = widest - widths[widths.size() - (end - i)];
      aligned += text.substr(written, comments_[i] - written);
      aligned.append(blanks + kBeforeComment, ' ');
      written = comments_[i];
    }
  }
  return aligned.append(text.substr(written));
}

}  // namespace

std::optional<std::string> Format(const Source& source,
                                  Diagnostics& diagnostics) {
  size_t before = diagnostics.errors();
  Parse(source, diagnostics);
  if (diagnostics.errors() > before) return std::nullopt;
  LexedText lexed = Lex(source, diagnostics);
  return Formatter(PiecesOf(source, lexed)).Run();
}

}  // namespace tl

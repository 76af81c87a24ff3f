// What a terminal may be shown of text that strangers wrote: what would move the
// cursor, change colours, reach the clipboard or turn the direction of writing is
// escaped as "\x1b" or "\u{202e}", as is what is not UTF-8. Whatever tl prints that
// is not the output of a program goes through here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tl {

// Characters that no name is shown with: controls, marks of direction, invisible
// ones.
bool MovesOrHides(uint32_t code);

// A name, which is one line: newlines and tabs are escaped too.
std::string Printable(std::string_view name);

// Messages with names in them: newlines and tabs stay.
std::string PrintableLines(std::string_view text);

// What somebody wrote to be read: all that is not a control character stays, since
// writing and emoji need the invisible ones, and "\r\n" ends a line.
std::string PrintableText(std::string_view text);

}  // namespace tl

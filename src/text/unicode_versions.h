// Characters that are newer than the tables of the library `tokenizers`, with
// which vocabularies were made: its classes are those of Unicode 8 and its
// normal forms those of Unicode 12. What came later is nothing in particular to
// it, and must be so to us, or the same text becomes other tokens.
// Up to Unicode 14; tests/tokenizers_test.py holds every character to it.
#pragma once

namespace tl {

bool IsLaterPunctuation(char32_t c);
bool IsLaterFormat(char32_t c);      // Cf
bool IsLaterNonspacing(char32_t c);  // Mn
bool IsLaterCombining(char32_t c);   // M*, for the step StripAccents
bool IsLaterInNormalForms(char32_t c);

}  // namespace tl
